#include "core/net/http_client.h"

#include "core/net/client_exchange.h"
#include "core/net/client_lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <system_error>
#include <vector>

namespace tenon::net {

namespace {

class PooledClient : public Client {
public:
    explicit PooledClient(uint64_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}
    ~PooledClient() override {
        for (const auto& lane : lanes_)
            lane->stop();
    }

    Status open(const ClientOptions& options) {
        std::shared_ptr<ClientTls> tls;
        if (!options.ca_file.empty()) {
            TENON_TRY(tls, ClientTls::create(options.verify_tls, options.ca_file));
        }
        const uint32_t threads = options.io_threads;
        const uint32_t connections = (options.connections_per_origin + threads - 1) / threads;
        try {
            for (uint32_t i = 0; i < threads; ++i) {
                lanes_.push_back(std::make_shared<ClientLane>(options, connections, tls));
                lanes_.back()->start_thread();
            }
        } catch (const std::system_error& error) {
            return Error{Code::kBusy, fmt::format("cannot start a thread: {}", error.what())};
        }
        return {};
    }

    std::shared_ptr<ClientCall> start(ClientRequest request, ClientCallbacks callbacks) override {
        const std::shared_ptr<ClientLane>& lane = lanes_[next_++ % lanes_.size()];
        auto exchange =
            std::make_shared<ClientExchange>(lane, std::move(request), std::move(callbacks));
        lane->add(exchange);
        return exchange;
    }

    Result<HttpResponse> send(ClientRequest request) override {
        struct Answer {
            HttpResponse response;
            std::promise<Status> done;
            std::atomic<bool> is_too_large{false};
            std::promise<std::shared_ptr<ClientCall>> call;
        };
        const auto answer = std::make_shared<Answer>();
        const auto call = std::make_shared<std::shared_future<std::shared_ptr<ClientCall>>>(
            answer->call.get_future().share());
        ClientCallbacks callbacks;
        callbacks.on_head = [answer](int status, const Headers& headers) {
            answer->response.status = status;
            answer->response.headers = headers;
        };
        callbacks.on_body = [answer, call, limit = body_bytes_max_](std::string_view piece) {
            std::string& body = answer->response.body;
            if (answer->is_too_large) return;
            if (piece.size() > limit - body.size()) {
                answer->is_too_large = true;
                call->get()->cancel();
                return;
            }
            body.append(piece);
        };
        callbacks.on_end = [answer](Status status) { answer->done.set_value(std::move(status)); };
        answer->call.set_value(start(std::move(request), std::move(callbacks)));
        const Status status = answer->done.get_future().get();
        if (answer->is_too_large) {
            return Error{Code::kData, fmt::format("the response has a body of more than {} bytes",
                                                  body_bytes_max_)};
        }
        TENON_CHECK(status);
        return std::move(answer->response);
    }

private:
    const uint64_t body_bytes_max_;
    std::atomic<size_t> next_{0};
    std::vector<std::shared_ptr<ClientLane>> lanes_;
};

}  // namespace

Result<std::unique_ptr<Client>> Client::create(ClientOptions options) {
    if (options.io_threads < 1 || options.io_threads > 256 || options.connections_per_origin < 1) {
        return Error{Code::kConfig,
                     "HTTP client: expected 1 to 256 threads and at least 1 connection per origin"};
    }
    auto client = std::make_unique<PooledClient>(options.response_body_bytes);
    TENON_CHECK(client->open(options));
    return std::unique_ptr<Client>(std::move(client));
}

}  // namespace tenon::net
