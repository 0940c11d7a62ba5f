#include "core/cli/session.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>
#include <csignal>

namespace tenon::cli {
namespace {

class Session : public testing::Test {
protected:
    Session()
        : file_((std::filesystem::temp_directory_path() /
                 ("tenon-session-" + std::to_string(getpid())))
                    .string()) {}
    ~Session() override {
        std::remove(file_.c_str());
        unsetenv("TENON_THREADS");
    }
    void write(const std::string& text) { std::ofstream(file_, std::ios::binary) << text; }
    // What resolve() says, in `err_`.
    std::optional<int> resolve(EngineArguments& engine) {
        testing::internal::CaptureStderr();
        const auto code = cli::resolve("verb", engine);
        err_ = testing::internal::GetCapturedStderr();
        return code;
    }
    std::string file_, err_;
};

TEST_F(Session, FlagsBeatTheEnvironmentWhichBeatsTheFile) {
    write("threads: 1\ncontext_length: 99\ncompute: precise\n");
    EngineArguments engine;
    engine.config_file = file_;
    EXPECT_EQ(resolve(engine), std::nullopt);
    EXPECT_EQ(engine.config.threads, 1u);
    setenv("TENON_THREADS", "2", 1);
    EXPECT_EQ(resolve(engine), std::nullopt);
    EXPECT_EQ(engine.config.threads, 2u);
    engine.settings = {"threads=3", "cpu.force_isa=scalar"};
    EXPECT_EQ(resolve(engine), std::nullopt);
    EXPECT_EQ(engine.config.threads, 3u);
    EXPECT_EQ(engine.config.plugins["cpu"]["force_isa"], "scalar");
    engine.threads = "4";
    EXPECT_EQ(resolve(engine), std::nullopt);
    EXPECT_EQ(engine.config.threads, 4u);
    EXPECT_EQ(engine.config.context_length, 99u);
    EXPECT_EQ(engine.config.compute, "precise");
}

TEST_F(Session, AFlagIsUsageAFileAndTheEnvironmentAreConfiguration) {
    EngineArguments flag;
    flag.compute = "slow";
    EXPECT_EQ(resolve(flag), kExitUsage);
    EXPECT_EQ(err_, "tenon verb: --compute: compute: expected one of fast, precise, got 'slow'\n");
    EngineArguments setting;
    setting.settings = {"threads"};
    EXPECT_EQ(resolve(setting), kExitUsage);
    EXPECT_EQ(err_, "tenon verb: --set: expected KEY=VALUE, got 'threads'\n");
    write("compute: slow\n");
    EngineArguments in_file;
    in_file.config_file = file_;
    EXPECT_EQ(resolve(in_file), kExitConfig);
    EXPECT_EQ(err_, "tenon verb: " + file_ +
                        ":1:10: compute: expected one of fast, precise, got 'slow'\n"
                        "    compute: slow\n             ^\n");
    EngineArguments absent;
    absent.config_file = file_ + ".absent";
    EXPECT_EQ(resolve(absent), kExitConfig);
    setenv("TENON_THREADS", "x", 1);
    EngineArguments environment;
    EXPECT_EQ(resolve(environment), kExitConfig);
}

TEST_F(Session, ReadsAWholeFileAndNoMoreThanItShould) {
    write(std::string("a\0b\n", 4));
    const Result<std::string> text = read_text(file_);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(*text, std::string("a\0b\n", 4));
    write("");
    const Result<std::string> empty = read_text(file_);
    ASSERT_TRUE(empty.ok());
    EXPECT_EQ(*empty, "");
    const auto error = [](const std::string& path) {
        const Result<std::string> refused = read_text(path);
        return refused.ok() ? std::string() : refused.error().message;
    };
    EXPECT_EQ(error("/nonexistent/text"),
              "cannot open /nonexistent/text: No such file or directory");
    EXPECT_EQ(error("/"), "cannot read /: Is a directory");
    EXPECT_EQ(error("/dev/zero"), "/dev/zero has more than 67108864 bytes of text");
}

TEST_F(Session, TheFirstInterruptOnlyRaisesTheWord) {
    uint32_t cancel = 0;
    watch_interrupts(&cancel);
    std::raise(SIGINT);
    EXPECT_EQ(cancel, 1u);
    watch_interrupts(nullptr);
}

TEST_F(Session, ASecondInterruptEndsTheProcess) {
    EXPECT_EXIT(
        {
            uint32_t cancel = 0;
            watch_interrupts(&cancel);
            std::raise(SIGTERM);
            std::raise(SIGTERM);
        },
        testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace tenon::cli
