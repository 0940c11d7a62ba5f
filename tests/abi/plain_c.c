/* A backend plugin in C without the SDK: proof that the header is the whole contract. It offers no
 * device, so every slot that takes a handle answers UNSUPPORTED. */
#include <string.h>
#include <tenon/abi.h>

/* The note: owner "tenon", type 1; revision, fingerprint in two halves, id. */
struct note {
    uint32_t name_bytes, desc_bytes, type;
    char name[8];
    uint32_t revision, fingerprint_low, fingerprint_high;
    char id[8];
};
__attribute__((used, section(".note.tenon"), aligned(4))) static const struct note kNote = {
    6, 12 + 8, 1, "tenon", TENON_ABI_REVISION, (uint32_t)(TENON_ABI_FINGERPRINT & 0xffffffffu),
    (uint32_t)(TENON_ABI_FINGERPRINT >> 32), "plain_c"};

static int32_t no(tenon_error* err) {
    static const char kText[] = "The plain C backend has no device.";
    if (err != NULL && err->size >= sizeof *err) {
        err->code = TENON_UNSUPPORTED;
        err->node = TENON_NONE;
        memcpy(err->msg, kText, sizeof kText);
    }
    return TENON_UNSUPPORTED;
}

#define UNUSED(x) (void)(x)
static int32_t enumerate(tenon_device_info* d, uint32_t stride, uint32_t* count, tenon_error* e) {
    UNUSED(d), UNUSED(stride), UNUSED(e);
    *count = 0;
    return TENON_OK;
}
static int32_t device_open(const uint8_t* u, const tenon_option* o, uint32_t n, tenon_device** d,
                           tenon_error* e) {
    UNUSED(u), UNUSED(o), UNUSED(n), UNUSED(d);
    return no(e);
}
static void device_close(tenon_device* d) { UNUSED(d); }
static int32_t device_stat(tenon_device* d, tenon_device_info* i, tenon_error* e) {
    UNUSED(d), UNUSED(i);
    return no(e);
}
static const void* device_ext(tenon_device* d, const char* id) {
    UNUSED(d), UNUSED(id);
    return NULL;
}
static int32_t buffer_alloc(tenon_device* d, const tenon_buffer_desc* s, tenon_buffer** b,
                            tenon_error* e) {
    UNUSED(d), UNUSED(s), UNUSED(b);
    return no(e);
}
static void buffer_free(tenon_buffer* b) { UNUSED(b); }
static int32_t queue_open(tenon_device* d, uint32_t k, tenon_queue** q, tenon_error* e) {
    UNUSED(d), UNUSED(k), UNUSED(q);
    return no(e);
}
static void queue_close(tenon_queue* q) { UNUSED(q); }
static int32_t timeline_create(tenon_device* d, uint64_t v, tenon_timeline** t, tenon_error* e) {
    UNUSED(d), UNUSED(v), UNUSED(t);
    return no(e);
}
static void timeline_free(tenon_timeline* t) { UNUSED(t); }
static int32_t timeline_query(tenon_timeline* t, uint64_t* v, tenon_error* e) {
    UNUSED(t), UNUSED(v);
    return no(e);
}
static int32_t timeline_two(tenon_timeline* t, uint64_t v, uint64_t w, tenon_error* e) {
    UNUSED(t), UNUSED(v), UNUSED(w);
    return no(e);
}
static int32_t timeline_signal(tenon_timeline* t, uint64_t v, int32_t s, tenon_error* e) {
    UNUSED(t), UNUSED(v), UNUSED(s);
    return no(e);
}
static int32_t copy(tenon_queue* q, const tenon_copy* c, uint32_t n, const tenon_sync* s,
                    tenon_error* e) {
    UNUSED(q), UNUSED(c), UNUSED(n), UNUSED(s);
    return no(e);
}
static int32_t weights_begin(tenon_device* d, uint32_t n, uint64_t b, tenon_weights** w,
                             tenon_error* e) {
    UNUSED(d), UNUSED(n), UNUSED(b), UNUSED(w);
    return no(e);
}
static int32_t weights_put(tenon_weights* w, const tenon_weight* t, uint32_t* i, tenon_error* e) {
    UNUSED(w), UNUSED(t), UNUSED(i);
    return no(e);
}
static int32_t weights_finish(tenon_weights* w, tenon_weights_info* i, tenon_error* e) {
    UNUSED(w), UNUSED(i);
    return no(e);
}
static int32_t weights_save(tenon_weights* w, void* b, uint64_t* n, tenon_error* e) {
    UNUSED(w), UNUSED(b), UNUSED(n);
    return no(e);
}
static int32_t weights_restore(tenon_weights* w, const void* b, uint64_t n, tenon_error* e) {
    UNUSED(w), UNUSED(b), UNUSED(n);
    return no(e);
}
static void weights_free(tenon_weights* w) { UNUSED(w); }
static int32_t kv_query(tenon_device* d, const tenon_kv_desc* k, tenon_kv_info* i, tenon_error* e) {
    UNUSED(d), UNUSED(k), UNUSED(i);
    return no(e);
}
static int32_t kv_create(tenon_device* d, const tenon_kv_desc* k, tenon_kv_pool** p,
                         tenon_error* e) {
    UNUSED(d), UNUSED(k), UNUSED(p);
    return no(e);
}
static void kv_free(tenon_kv_pool* p) { UNUSED(p); }
static int32_t kv_move(tenon_queue* q, const tenon_kv_move* m, uint32_t n, const tenon_sync* s,
                       tenon_error* e) {
    UNUSED(q), UNUSED(m), UNUSED(n), UNUSED(s);
    return no(e);
}
static int32_t query(tenon_device* d, const tenon_program* p, uint32_t c, tenon_verdict* v,
                     uint32_t stride, tenon_error* e) {
    UNUSED(d), UNUSED(p), UNUSED(c), UNUSED(v), UNUSED(stride);
    return no(e);
}
static int32_t prepare(tenon_device* d, const tenon_program* p, const tenon_prepare* h,
                       tenon_exec** x, tenon_exec_info* i, tenon_error* e) {
    UNUSED(d), UNUSED(p), UNUSED(h), UNUSED(x), UNUSED(i);
    return no(e);
}
static void exec_free(tenon_exec* x) { UNUSED(x); }
static int32_t exec_profile(tenon_exec* x, tenon_node_time* t, uint32_t stride, uint32_t* n,
                            tenon_error* e) {
    UNUSED(x), UNUSED(t), UNUSED(stride), UNUSED(n);
    return no(e);
}
static int32_t submit(tenon_queue* q, tenon_exec* x, const tenon_bind* b, const tenon_sync* s,
                      tenon_error* e) {
    UNUSED(q), UNUSED(x), UNUSED(b), UNUSED(s);
    return no(e);
}

static const tenon_backend_table kBackend = {
    sizeof kBackend, enumerate,      device_open,    device_close,    device_stat,  device_ext,
    buffer_alloc,    buffer_free,    queue_open,     queue_close,     timeline_create, timeline_free,
    timeline_query,  timeline_two,   timeline_two,   timeline_signal, copy,         weights_begin,
    weights_put,     weights_finish, weights_save,   weights_restore, weights_free, kv_query,
    kv_create,       kv_free,        kv_move,        query,           prepare,      exec_free,
    exec_profile,    submit};

static int32_t activate(const tenon_host* host, tenon_error* err) {
    UNUSED(host), UNUSED(err);
    return TENON_OK;
}
static void deactivate(void) {}
static const void* iface(const char* id) {
    return strcmp(id, TENON_IFACE_BACKEND) == 0 ? &kBackend : NULL;
}

static const tenon_plugin_table kPlugin = {
    sizeof kPlugin, TENON_ABI_REVISION, TENON_ABI_FINGERPRINT, {"plain_c", 7}, {"1.0.0", 5},
    activate,       deactivate,         iface};

__attribute__((visibility("default"))) int32_t tenon_plugin_open_v0(uint32_t revision,
                                                                    uint64_t fingerprint,
                                                                    const tenon_plugin_table** plugin,
                                                                    tenon_error* err) {
    if (revision != TENON_ABI_REVISION || fingerprint != TENON_ABI_FINGERPRINT) return no(err);
    *plugin = &kPlugin;
    return TENON_OK;
}
