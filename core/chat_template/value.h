// Value: what a template computes with. A small copyable handle; containers are shared and, apart
// from namespaces, never change once made. Strings given by a host are marked as user text unless
// the host says trusted(). Not for two threads at once while a render runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/chat_template/text.h"

namespace tenon::chat_template {

class Value;
struct List;
struct Dict;
struct Namespace;
// Anything else: a loop, a macro, a builtin, a bound method.
struct Object {
    virtual ~Object() = default;
    // What messages call it, such as "macro".
    virtual std::string_view type_name() const = 0;
    virtual bool callable() const { return true; }
    // As Value::depth: containers held inside.
    virtual uint32_t depth() const { return 0; }
};

class Value {
public:
    enum class Kind : uint8_t {
        kUndefined,
        kNone,
        kBool,
        kInt,
        kFloat,
        kString,
        kList,
        kDict,
        kNamespace,
        kObject,
    };

    Value() = default;  // undefined, without a name
    // Undefined that remembers what was looked for: "'x' is undefined".
    static Value undefined(std::string complaint);
    static Value none();
    static Value boolean(bool value);
    static Value integer(int64_t value);
    static Value real(double value);
    // A string a user may have written. The safe choice for everything in a request.
    static Value user(std::string bytes);
    // A string the caller vouches for, such as bos_token: control tokens in it count.
    static Value trusted(std::string bytes);
    static Value text(Text text);
    static Value list(std::vector<Value> items, bool is_tuple = false);
    static Value dict(std::vector<std::pair<Value, Value>> items);
    static Value name_space(std::shared_ptr<Namespace> names);
    static Value object(std::shared_ptr<const Object> object);

    Kind kind() const noexcept { return static_cast<Kind>(state_.index()); }
    bool is(Kind kind) const noexcept { return this->kind() == kind; }
    bool is_undefined() const noexcept { return is(Kind::kUndefined); }
    bool is_string() const noexcept { return is(Kind::kString); }
    bool is_number() const noexcept {
        return is(Kind::kBool) || is(Kind::kInt) || is(Kind::kFloat);
    }
    // Each legal only for its kind.
    bool as_bool() const { return std::get<bool>(state_); }
    double as_float() const { return std::get<double>(state_); }
    const Text& as_text() const { return *std::get<std::shared_ptr<const Text>>(state_); }
    const List& as_list() const { return *std::get<std::shared_ptr<const List>>(state_); }
    const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(state_); }
    Namespace& as_namespace() const { return *std::get<std::shared_ptr<Namespace>>(state_); }
    const std::shared_ptr<const Object>& as_object() const {
        return std::get<std::shared_ptr<const Object>>(state_);
    }
    // The object as a T, or null.
    template <class T>
    const T* find_object() const {
        return is(Kind::kObject) ? dynamic_cast<const T*>(as_object().get()) : nullptr;
    }
    // bool and int only.
    bool is_integral() const noexcept { return is(Kind::kBool) || is(Kind::kInt); }
    int64_t as_integer() const { return is(Kind::kBool) ? as_bool() : std::get<int64_t>(state_); }
    // bool, int and float.
    double as_number() const {
        return is(Kind::kFloat) ? as_float() : static_cast<double>(as_integer());
    }
    // The sentence of an undefined value.
    std::string complaint() const;
    // Python's truth.
    bool truth() const;
    // Python's name of the type.
    std::string_view type_name() const;
    // Containers nested in this value, itself included; 0 for scalars.
    uint32_t depth() const;
    // Bytes of all strings inside, keys included; stops counting above `stop`.
    size_t text_bytes(size_t stop) const;
    const void* identity() const;

private:
    std::variant<std::shared_ptr<const std::string>, std::monostate, bool, int64_t, double,
                 std::shared_ptr<const Text>, std::shared_ptr<const List>,
                 std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                 std::shared_ptr<const Object>>
        state_;
};

struct List {
    std::vector<Value> items;
    bool is_tuple = false;
    uint32_t depth = 1;
};

// In the order of insertion. Keys are strings, numbers, bools or none.
struct Dict {
    std::vector<std::pair<Value, Value>> items;
    uint32_t depth = 1;

    const Value* find(std::string_view key) const;
    const Value* find(const Value& key) const;
    // Puts or replaces; the caller recomputes depth by Value::dict.
    static void put(std::vector<std::pair<Value, Value>>& items, Value key, Value value);
};

struct Namespace {
    std::vector<std::pair<std::string, Value>> items;

    const Value* find(std::string_view name) const;
    void set(std::string_view name, Value value);
};

// Whether a value may be a dict key, and whether two keys are one (1 == 1.0 == true).
bool is_key(const Value& value);
bool same_key(const Value& a, const Value& b);

// repr() of a float as Python prints it: 1.0, 1e-05, inf.
std::string float_repr(double value);

}  // namespace tenon::chat_template
