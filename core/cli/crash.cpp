#include "core/cli/crash.h"

#include "core/base/mapped_file.h"
#include "core/cli/arguments.h"
#include "core/host/loader.h"

#include <csignal>
#include <cstring>

#include <unistd.h>

namespace tenon::cli {

namespace {

// Async-signal-safe.
void say(const char* text) {
    const ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
    static_cast<void>(written);
}

extern "C" void on_fault(int signal, siginfo_t* info, void*) {
    if (signal == SIGBUS && is_mapped_file(info->si_addr)) {
        say("tenon: the model file was cut short while it was in use\n");
        _exit(kExitFailure);
    }
    if (const char* plugin = host::loading_plugin()) {
        say("tenon: plugin ");
        say(plugin);
        say(" crashed while it was being loaded; remove it, or name another --backend\n");
        _exit(kExitFailure);
    }
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

}  // namespace

void explain_crashes() {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    for (const int signal : {SIGBUS, SIGSEGV, SIGABRT, SIGILL, SIGFPE}) {
        sigaction(signal, &action, nullptr);
    }
    std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace tenon::cli
