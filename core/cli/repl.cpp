#include "core/cli/repl.h"

#include "core/cli/conversation.h"
#include "core/cli/line_editor.h"
#include "core/cli/prompt_input.h"
#include "core/cli/session.h"
#include "core/cli/table.h"
#include "core/config/environment.h"
#include "core/config/nearest.h"
#include "core/engine/chat_encoder.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <random>
#include <string_view>

namespace tenon::cli {

namespace {

volatile std::sig_atomic_t g_interrupts = 0;  // SIGINT since it was looked at
volatile std::sig_atomic_t g_ends = 0;        // SIGTERM, SIGHUP

extern "C" void count_signal(int signal) {
    if (signal == SIGINT) {
        g_interrupts = g_interrupts + 1;
    } else {
        g_ends = g_ends + 1;
    }
}

bool is_interrupted() { return g_interrupts != 0 || g_ends != 0; }

// Without SA_RESTART: a signal ends the wait for a key.
class Signals {
public:
    Signals() {
        struct sigaction action {};
        action.sa_handler = count_signal;
        for (size_t i = 0; i < std::size(kSignals); ++i)
            sigaction(kSignals[i], &action, &before_[i]);
    }
    ~Signals() {
        for (size_t i = 0; i < std::size(kSignals); ++i)
            sigaction(kSignals[i], &before_[i], nullptr);
    }

private:
    static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before_[std::size(kSignals)] = {};
};

class Repl {
public:
    Repl(LocalEngine& engine, AnswerOptions options, const std::string& system)
        : engine_(engine),
          options_(std::move(options)),
          editor_(history_path()),
          has_color_(config::wants_color()) {
        talk_.system = system;
        editor_.complete_with([this](std::string_view before) {
            if (input_.is_open()) return Completion{};
            std::vector<std::string> settings;
            for (const AnswerSetting& setting : list_answer_options(options_))
                settings.push_back(setting.name);
            return complete_line(before, command_names(), settings);
        });
    }

    int run() {
        fmt::print("{} on {}. /help lists commands.\n", printable(engine_.info().model_name),
                   engine_.info().device);
        while (!is_over_ && g_ends == 0) {
            std::string line;
            std::fflush(stdout);
            switch (editor_.read(prompt(), line, is_interrupted)) {
                case LineEditor::End::kLine:
                    interrupts_ = 0;
                    editor_.remember(line);
                    take(line);
                    break;
                case LineEditor::End::kInterrupted: interrupted(); break;
                case LineEditor::End::kEof:
                    fmt::print("\n");
                    is_over_ = true;
                    break;
            }
        }
        return g_ends == 0 ? kExitOk : kExitFailure;
    }

private:
    struct Row {
        const char* name;
        const char* value;
        const char* text;
        void (Repl::*run)(const std::string& rest);
    };
    static const Row kCommands[];

    static std::vector<std::string> command_names() {
        std::vector<std::string> names;
        for (const Row* row = kCommands; row->name != nullptr; ++row)
            names.emplace_back(row->name);
        return names;
    }

    std::string prompt() const {
        const char* text = input_.is_open() ? "..." : ">>>";
        return has_color_ ? fmt::format("\x1b[1m{}\x1b[0m ", text) : fmt::format("{} ", text);
    }

    void interrupted() {
        if (g_interrupts == 0) return;  // it is the end
        g_interrupts = 0;
        input_.reset();
        if (++interrupts_ >= 2) is_over_ = true;
        fmt::print("\n{}", is_over_ ? "" : "Ctrl+C once more, or Ctrl+D, leaves.\n");
    }

    void say(const std::string& sentence) { fmt::print("{}\n", sentence); }

    void take(const std::string& line) {
        if (!input_.is_open()) {
            if (const std::optional<Command> command = find_command(line)) return obey(*command);
        }
        const std::optional<std::string> text = input_.take(line);
        if (text && text->find_first_not_of(" \t\n") != std::string::npos) answer(*text);
    }

    void obey(const Command& command) {
        for (const Row* row = kCommands; row->name != nullptr; ++row) {
            if (command.name == row->name) return (this->*row->run)(command.rest);
        }
        const std::string close = config::nearest(command.name, command_names());
        say(fmt::format("/{} is no command{}", command.name,
                        close.empty() ? "; /help lists them" : "; did you mean /" + close + "?"));
    }

    void answer(const std::string& text) {
        talk_.turns.push_back({"user", text});
        engine::ChatInput chat;
        chat.messages = talk_.messages();
        Result<engine::EncodedChat> encoded = engine::encode_chat(engine_.model(), chat);
        if (!encoded.ok()) return give_up(encoded.error().message);
        engine::GenerationRequest request;
        request.prompt = std::move(encoded->ids);
        request.max_tokens = options_.max_tokens;
        request.sampling = options_.sampling;
        if (request.sampling.seed == 0) request.sampling.seed = std::random_device{}();
        request.stop = options_.stop;
        g_interrupts = 0;
        const Result<LocalAnswer> answer = engine_.answer(std::move(request), show, is_interrupted);
        const bool was_stopped = g_interrupts != 0;
        g_interrupts = 0;
        if (!answer.ok()) {
            return give_up(answer.error().message + "; /clear forgets the conversation");
        }
        fmt::print("\n");
        if (was_stopped) say(dim("(stopped)"));
        if (answer->finish.reason == engine::FinishReason::kLength) {
            say(dim("(the answer was cut: max_tokens, or the context is full)"));
        }
        if (answer->text.empty()) {
            talk_.turns.pop_back();
        } else {
            talk_.turns.push_back({"assistant", answer->text});
        }
    }

    // Of what a model writes, nothing steers the terminal.
    static void show(std::string_view text) {
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if ((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t') std::fputc(c, stdout);
        }
        std::fflush(stdout);
    }

    std::string dim(const std::string& text) const {
        return has_color_ ? fmt::format("\x1b[2m{}\x1b[0m", text) : text;
    }

    void give_up(const std::string& sentence) {
        talk_.turns.pop_back();
        say(sentence);
    }

    void help(const std::string&) {
        Table table({"COMMAND", "DOES"});
        for (const Row* row = kCommands; row->name != nullptr; ++row)
            table.row({fmt::format("/{} {}", row->name, row->value), row->text});
        table.row({"\"\"\"", "begins and ends a prompt of several lines"});
        table.row({"\\", "at the end of a line: the prompt goes on"});
        table.row({"Tab", "completes a command, an option of /set, a file"});
        table.row({"Ctrl+C", "stops an answer; twice at the prompt leaves, as Ctrl+D does"});
        fmt::print("{}", table.text());
    }

    void clear(const std::string&) {
        talk_.turns.clear();
        say("The conversation is forgotten; the system message stays.");
    }

    void system(const std::string& text) {
        if (text.empty()) {
            return say(talk_.system.empty() ? "There is no system message." : talk_.system);
        }
        talk_.system = text == "\"\"" ? "" : text;
        say(talk_.system.empty() ? "The system message is gone." : "The system message is set.");
    }

    void set(const std::string& rest) {
        if (rest.empty()) {
            Table table({"OPTION", "VALUE", "MEANS"});
            for (const AnswerSetting& setting : list_answer_options(options_))
                table.row({setting.name, setting.value, setting.text});
            fmt::print("{}", table.text());
            return;
        }
        const size_t space = rest.find_first_of(" \t");
        const std::string name = rest.substr(0, space);
        const std::string value =
            space == std::string::npos ? "" : rest.substr(rest.find_first_not_of(" \t", space));
        if (space == std::string::npos && name != "stop") {
            for (const AnswerSetting& setting : list_answer_options(options_)) {
                if (setting.name == name) return say(fmt::format("{} = {}", name, setting.value));
            }
        }
        const Status status = set_answer_option(options_, name, value);
        if (!status.ok()) return say(status.error().message);
        say(fmt::format("{} = {}", name, value));
    }

    void save(const std::string& path) {
        if (path.empty()) return say("/save: a file is missing");
        const Status status = write_file(path, talk_.to_json());
        say(status.ok() ? fmt::format("{} messages are in {}", talk_.messages().size(), path)
                        : status.error().message);
    }

    void load(const std::string& path) {
        if (path.empty()) return say("/load: a file is missing");
        const Result<std::string> text = read_text(path);
        if (!text.ok()) return say(text.error().message);
        Result<Conversation> read = parse_conversation(*text);
        if (!read.ok()) return say(path + ": " + read.error().message);
        talk_ = std::move(read).value();
        say(fmt::format("{} messages were read from {}", talk_.messages().size(), path));
    }

    void bye(const std::string&) { is_over_ = true; }

    LocalEngine& engine_;
    AnswerOptions options_;
    Conversation talk_;
    LineEditor editor_;
    PromptInput input_;
    const bool has_color_;
    bool is_over_ = false;
    int interrupts_ = 0;  // at the prompt, one after the other
};

const Repl::Row Repl::kCommands[] = {
    {"help", "", "lists the commands", &Repl::help},
    {"clear", "", "forgets the conversation", &Repl::clear},
    {"system", "[TEXT]", "sets the system message; \"\" takes it away", &Repl::system},
    {"set", "[NAME [VALUE]]", "sets an option of the answers; alone it lists them", &Repl::set},
    {"save", "FILE", "writes the conversation as OpenAI messages", &Repl::save},
    {"load", "FILE", "goes on with a conversation of a file", &Repl::load},
    {"bye", "", "leaves", &Repl::bye},
    {nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

int converse(LocalEngine& engine, AnswerOptions options, const std::string& system) {
    const Signals signals;
    return Repl(engine, std::move(options), system).run();
}

}  // namespace tenon::cli
