#include "core/hub/transfer.h"

#include "core/hub/byte_text.h"
#include "core/hub/file_digest.h"
#include "core/hub/kept_parts.h"
#include "core/hub/output_file.h"
#include "core/hub/range_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <unistd.h>

namespace tenon::hub {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kProgressEvery{100};
constexpr milliseconds kSaveEvery{1000};

class Transfer {
public:
    Transfer(Fetcher& fetcher, const RemoteFile& remote, const std::string& partial,
             const TransferOptions& options, const TransferWatch& watch)
        : fetcher_(fetcher),
          remote_(remote),
          partial_(partial),
          options_(options),
          watch_(watch),
          parts_(partial + ".parts") {}

    Result<Transferred> run() {
        // Once more when the remote file changed, or when bytes kept from before were bad.
        for (bool is_again : {false, true}) {
            const Outcome outcome = attempt();
            if (outcome.ok()) return result_;
            if (outcome.kind != Outcome::Kind::kChanged) return outcome.error;
            forget();
            if (is_again) return outcome.error;
            note(fmt::format("{}: {}; starting again", remote_.what, outcome.error.message));
        }
        return Error{Code::kInternal, "a third attempt"};
    }

private:
    Outcome attempt() {
        if (Outcome outcome = probe(); !outcome.ok()) return outcome;
        Result<OutputFile> file = OutputFile::open(partial_);
        if (!file.ok()) return Outcome::fatal(file.error());
        file_ = &*file;
        if (Outcome outcome = fill(); !outcome.ok()) return outcome;
        if (const Status status = file_->sync(); !status.ok())
            return Outcome::fatal(status.error());
        return check();
    }

    Outcome fill() {
        if (!has_ranges_) return repeat(false, [this] { return fetch_whole(); });
        load_parts();
        // A full disk leaves nothing behind that was not there before.
        if (const Status status = file_->reserve(size_); !status.ok()) {
            if (result_.resumed == 0) forget();
            return Outcome::fatal(status.error());
        }
        if (size_ == 0) return {};
        const Outcome outcome = fetch_parts();
        save_parts();
        if (outcome.kind == Outcome::Kind::kFatal && parts_.done() == 0) forget();
        return outcome;
    }

    // Asks for the first byte: size, etag, whether ranges work, where redirects lead.
    Outcome probe() {
        return repeat(true, [this]() -> Outcome {
            FetchSink sink;
            sink.on_head = [](const FetchAnswer&) { return Error{Code::kCancelled, "head only"}; };
            direct_.reset();
            const Result<FetchAnswer> answer = fetcher_.get(request_of(Missing{0, 1}, false), sink);
            if (!answer.ok()) return judge(answer.error());
            return read_probe(*answer);
        });
    }

    Outcome read_probe(const FetchAnswer& answer) {
        std::optional<uint64_t> size;
        const std::optional<ContentRange> range = content_range(answer.headers);
        has_ranges_ = false;
        if (answer.status == 206 && range && range->begin == 0) {
            size = range->size;
            has_ranges_ = true;
        } else if (answer.status == 416 && range && range->size == 0) {
            size = 0;
            has_ranges_ = true;
        } else if (answer.status == 200) {
            const std::string* const length = answer.headers.find("Content-Length");
            if (length != nullptr) size = whole_number(*length);
        } else {
            return judge_status(answer);
        }
        const std::string* const coding = answer.headers.find("Content-Encoding");
        if (coding != nullptr && *coding != "identity") {
            return Outcome::fatal({Code::kData, fmt::format("the server sends {} encoded as {}",
                                                            remote_.what, *coding)});
        }
        if (size && remote_.size && *size != *remote_.size) {
            return Outcome::fatal(
                {Code::kData, fmt::format("the server's {} has {} bytes, wanted {}", remote_.what,
                                          *size, *remote_.size)});
        }
        const std::string* const linked = answer.first_headers.find("X-Linked-Etag");
        if (linked != nullptr && !remote_.linked_etag.empty() &&
            without_quotes(*linked) != remote_.linked_etag) {
            return Outcome::fatal(
                {Code::kData,
                 fmt::format("the server's {} has the digest {}, wanted {}", remote_.what,
                             linked->substr(0, 80), remote_.linked_etag)});
        }
        has_size_ = size.has_value() || remote_.size.has_value();
        size_ = size.value_or(remote_.size.value_or(0));
        etag_ = strong_etag(answer.headers);
        if (answer.sent.url != remote_.url) direct_ = answer.sent;
        return {};
    }

    // What bytes kept on disk must be of. Empty: they cannot be told from other ones.
    std::string identity() const {
        if (!remote_.sha256.empty()) return "sha256:" + remote_.sha256;
        if (!remote_.git_blob.empty()) return "git:" + remote_.git_blob;
        return etag_.empty() ? "" : "etag:" + etag_;
    }

    void load_parts() {
        const KeptParts::Found found =
            parts_.open(size_, identity(), fetcher_.options().connections);
        if (found == KeptParts::Found::kOther) {
            note(fmt::format("{}: what was kept is of another file; starting again", remote_.what));
        }
        if (found != KeptParts::Found::kSome) static_cast<void>(file_->cut(0));
        result_.resumed = parts_.done();
        if (result_.resumed > 0) {
            note(fmt::format("{}: going on after {} of {}", remote_.what,
                             format_bytes(result_.resumed), format_bytes(size_)));
        }
    }

    void save_parts() {
        // Where no digest will tell, only bytes that reached the disk count.
        const bool is_checked = !remote_.sha256.empty() || !remote_.git_blob.empty();
        parts_.save(is_checked ? std::function<Status()>() : [this] { return file_->sync(); });
    }

    void forget() {
        parts_.remove();
        static_cast<void>(unlink(partial_.c_str()));
    }

    Outcome fetch_parts() {
        std::vector<std::thread> workers;
        const uint32_t wanted = fetcher_.options().connections;
        {
            const std::lock_guard lock(mutex_);
            running_ = 0;
            failure_ = {};
        }
        try {
            for (uint32_t i = 0; i < wanted; ++i) {
                {
                    const std::lock_guard lock(mutex_);
                    ++running_;
                }
                workers.emplace_back([this] { work(); });
            }
        } catch (const std::system_error&) {
            const std::lock_guard lock(mutex_);
            --running_;
            if (workers.empty()) {
                failure_ = Outcome::fatal({Code::kBusy, "cannot start a thread"});
            }
        }
        Clock::time_point saved = Clock::now();
        while (true) {
            std::string said;
            bool is_over = false;
            {
                const std::lock_guard lock(mutex_);
                is_over = running_ == 0;
                said.swap(note_);
            }
            if (!said.empty()) note(said);
            if (watch_.on_progress) watch_.on_progress(Phase::kFetching, parts_.done(), size_);
            if (is_over) break;
            if (Clock::now() - saved >= kSaveEvery) {
                save_parts();
                saved = Clock::now();
            }
            std::this_thread::sleep_for(kProgressEvery / 2);
        }
        for (std::thread& worker : workers)
            worker.join();
        return failure_;
    }

    // A thread's: piece after piece, until none is left or one of the threads failed.
    void work() {
        while (true) {
            const std::optional<size_t> taken = has_failed() ? std::nullopt : parts_.take();
            if (!taken) {
                const std::lock_guard lock(mutex_);
                --running_;
                return;
            }
            const size_t index = *taken;
            uint64_t before = parts_.missing(index).begin;
            Outcome outcome;
            uint32_t failures = 0;
            while (parts_.missing(index).size() > 0) {
                outcome = fetch_piece(index);
                if (outcome.ok()) continue;
                const uint64_t now = parts_.missing(index).begin;
                failures = now > before ? 1 : failures + 1;
                before = now;
                if (has_failed() || !pause_after(outcome, failures, false)) break;
            }
            const bool is_whole = parts_.missing(index).size() == 0;
            parts_.give_back(index);
            const std::lock_guard lock(mutex_);
            if (!is_whole && failure_.ok()) failure_ = outcome;
        }
    }

    bool has_failed() {
        const std::lock_guard lock(mutex_);
        return !failure_.ok();
    }

    Outcome fetch_piece(size_t index) {
        const Missing range = parts_.missing(index);
        Outcome outcome;
        uint64_t at = range.begin;
        bool was_direct = false;
        FetchSink sink;
        sink.on_head = [&](const FetchAnswer& answer) -> Status {
            outcome = judge_piece(answer, range, was_direct);
            return outcome.ok() ? Status() : Error{Code::kCancelled, ""};
        };
        sink.on_body = [&](std::string_view bytes) -> Status {
            if (bytes.size() > range.end - at) {
                outcome = Outcome::fatal(too_much());
                return Error{Code::kCancelled, ""};
            }
            TENON_CHECK(file_->write(at, bytes));
            at += bytes.size();
            parts_.advance(index, bytes.size());
            return has_failed() ? Status(Error{Code::kCancelled, ""}) : Status();
        };
        net::ClientRequest request = request_of(range, true);
        was_direct = request.url != remote_.url;
        const Result<FetchAnswer> answer = fetcher_.get(std::move(request), sink);
        if (!outcome.ok()) return outcome;
        if (!answer.ok()) return judge(answer.error());
        if (at < range.end) {
            return Outcome::retry(
                {Code::kData, fmt::format("the server sent {} of {} bytes asked for",
                                          at - range.begin, range.size())});
        }
        return {};
    }

    // The head of an answer to a piece.
    Outcome judge_piece(const FetchAnswer& answer, const Missing& asked, bool was_direct) {
        if (answer.status == 206) {
            const std::optional<ContentRange> range = content_range(answer.headers);
            if (!range || range->begin != asked.begin) {
                return Outcome::fatal(
                    {Code::kData,
                     fmt::format("the server sent another range of {} than was asked for",
                                 remote_.what)});
            }
            const std::string etag = strong_etag(answer.headers);
            const bool is_other = !etag.empty() && !etag_.empty() && etag != etag_;
            if (range->size != size_ || (is_other && remote_.sha256.empty())) {
                return Outcome::changed();
            }
            if (answer.sent.url != remote_.url) {
                const std::lock_guard lock(mutex_);
                direct_ = answer.sent;
            }
            return {};
        }
        // The whole file where a part was asked for: If-Range found another one.
        if (answer.status == 200 || answer.status == 412 || answer.status == 416) {
            return Outcome::changed();
        }
        if (was_direct && (answer.status == 401 || answer.status == 403 || answer.status == 404 ||
                           answer.status == 410)) {
            // What the redirect granted has expired: ask again for one.
            const std::lock_guard lock(mutex_);
            direct_.reset();
            return Outcome::retry(explain(answer), milliseconds(1));
        }
        return judge_status(answer);
    }

    // From a server without ranges, front to back; nothing is kept of a failed attempt.
    Outcome fetch_whole() {
        if (const Status status = file_->cut(0); !status.ok())
            return Outcome::fatal(status.error());
        if (const Status status = file_->reserve(size_); !status.ok()) {
            forget();
            return Outcome::fatal(status.error());
        }
        Outcome outcome;
        std::atomic<uint64_t> at{0};
        FetchSink sink;
        sink.on_head = [&](const FetchAnswer& answer) -> Status {
            if (answer.status != 200) outcome = judge_status(answer);
            return outcome.ok() ? Status() : Error{Code::kCancelled, ""};
        };
        sink.on_body = [&](std::string_view bytes) -> Status {
            if (has_size_ && bytes.size() > size_ - at) {
                outcome = Outcome::fatal(too_much());
                return Error{Code::kCancelled, ""};
            }
            TENON_CHECK(file_->write(at, bytes));
            at += bytes.size();
            return {};
        };
        Result<FetchAnswer> answer = Error{Code::kInternal, "no answer"};
        std::atomic<bool> is_over{false};
        std::thread worker;
        try {
            worker = std::thread([&] {
                answer = fetcher_.get(request_of(Missing{}, false), sink);
                is_over.store(true);
            });
        } catch (const std::system_error&) {
            return Outcome::fatal({Code::kBusy, "cannot start a thread"});
        }
        while (!is_over.load()) {
            if (watch_.on_progress) {
                watch_.on_progress(Phase::kFetching, at.load(), has_size_ ? size_ : 0);
            }
            std::this_thread::sleep_for(kProgressEvery / 2);
        }
        worker.join();
        if (outcome.ok() && !answer.ok()) outcome = judge(answer.error());
        if (outcome.ok() && has_size_ && at != size_) {
            outcome = Outcome::retry(
                {Code::kData, fmt::format("the server sent {} of {} bytes", at.load(), size_)});
        }
        if (outcome.ok()) {
            size_ = at;
        } else if (outcome.kind != Outcome::Kind::kRetry) {
            forget();
        }
        return outcome;
    }

    Outcome check() {
        const bool is_git = remote_.sha256.empty() && !remote_.git_blob.empty();
        const Result<std::string> digest = digest_file(
            partial_, is_git ? DigestKind::kGitBlob : DigestKind::kSha256, [this](uint64_t done) {
                if (watch_.on_progress) watch_.on_progress(Phase::kChecking, done, size_);
                return fetcher_.wait(milliseconds(0));
            });
        if (!digest.ok()) return Outcome::fatal(digest.error());
        const std::string& wanted = is_git ? remote_.git_blob : remote_.sha256;
        if (!wanted.empty() && *digest != wanted) {
            if (result_.resumed > 0) {
                result_.resumed = 0;
                Outcome outcome = Outcome::changed();
                outcome.error = {Code::kData, "what was kept from before does not fit"};
                return outcome;
            }
            const std::string aside = partial_ + ".refused";
            parts_.remove();
            static_cast<void>(rename(partial_.c_str(), aside.c_str()));
            return Outcome::fatal(
                {Code::kData,
                 fmt::format("{} has {} {}, wanted {}; it is kept aside as {}", remote_.what,
                             is_git ? "the git id" : "sha256", *digest, wanted, aside)});
        }
        parts_.remove();
        result_.bytes = size_;
        result_.sha256 = is_git ? "" : *digest;
        return {};
    }

    net::ClientRequest request_of(const Missing& range, bool with_condition) {
        net::ClientRequest request;
        std::optional<net::ClientRequest> direct;
        {
            const std::lock_guard lock(mutex_);
            direct = direct_;
        }
        if (direct) {
            request = std::move(*direct);
        } else {
            request.url = remote_.url;
            if (remote_.headers) request.headers = remote_.headers();
            request.headers.set("Accept-Encoding", "identity");
        }
        if (range.size() == 0) return request;
        request.headers.set("Range", fmt::format("bytes={}-{}", range.begin, range.end - 1));
        if (with_condition && remote_.sha256.empty() && !etag_.empty()) {
            request.headers.set("If-Range", etag_);
        }
        return request;
    }

    Outcome judge_status(const FetchAnswer& answer) const {
        return judge(answer, explain(answer), options_.retry_after_max);
    }

    Error explain(const FetchAnswer& answer) const {
        return remote_.explain ? remote_.explain(answer) : explain_status(answer, remote_.what);
    }

    Error too_much() const {
        return {Code::kData,
                fmt::format("the server sent more of {} than it announced", remote_.what)};
    }

    // Waits before the next attempt; false when there is to be none. What is said goes out at once,
    // or, from another thread, by the one that watches.
    bool pause_after(Outcome& outcome, uint32_t failures, bool is_watching) {
        if (outcome.kind != Outcome::Kind::kRetry) return false;
        if (failures > options_.retries) return false;
        milliseconds time = options_.retry_delay * (1u << std::min(failures - 1, 6u));
        if (outcome.after.count() > 0) time = outcome.after;
        if (time >= milliseconds(1000)) {
            std::string said = fmt::format("{}; trying again in {} s", outcome.error.message,
                                           (time.count() + 500) / 1000);
            if (is_watching) {
                note(said);
            } else {
                const std::lock_guard lock(mutex_);
                note_ = std::move(said);
            }
        }
        if (fetcher_.wait(time)) return true;
        outcome = Outcome::fatal({Code::kCancelled, "interrupted"});
        return false;
    }

    // Attempts on this thread. At first contact a host that is not there is not asked for long.
    template <class Attempt>
    Outcome repeat(bool is_first_contact, const Attempt& attempt) {
        uint32_t failures = 0;
        while (true) {
            Outcome outcome = attempt();
            if (outcome.ok()) return outcome;
            if (is_first_contact && outcome.is_absent && failures > 0) return outcome;
            if (!pause_after(outcome, ++failures, true)) return outcome;
        }
    }

    void note(const std::string& sentence) const {
        if (watch_.on_note) watch_.on_note(sentence);
    }

    Fetcher& fetcher_;
    const RemoteFile& remote_;
    const std::string partial_;
    const TransferOptions& options_;
    const TransferWatch& watch_;

    OutputFile* file_ = nullptr;  // of attempt()
    bool has_ranges_ = false, has_size_ = false;
    uint64_t size_ = 0;
    std::string etag_;
    Transferred result_;
    KeptParts parts_;

    std::mutex mutex_;                          // of what follows, while threads run
    std::optional<net::ClientRequest> direct_;  // where the redirects led
    Outcome failure_;
    uint32_t running_ = 0;
    std::string note_;
};

}  // namespace

Result<Transferred> transfer(Fetcher& fetcher, const RemoteFile& remote, const std::string& partial,
                             const TransferOptions& options, const TransferWatch& watch) {
    return Transfer(fetcher, remote, partial, options, watch).run();
}

}  // namespace tenon::hub
