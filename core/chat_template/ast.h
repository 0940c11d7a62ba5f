// The tree of a template. Chains of one precedence (a + b - c, x.y[0]|f) are flat lists, so that the
// depth of the tree, which every walk recurses on, is bounded by Limits::parse_depth.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/chat_template/value.h"

namespace tenon::chat_template {

struct Builtin;
struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<Stmt>;

struct Arguments {
    std::vector<ExprPtr> positional;
    std::vector<std::pair<std::string, ExprPtr>> named;
    ExprPtr star;       // *expr
    ExprPtr star_star;  // **expr
};

enum class SuffixKind : uint8_t { kAttribute, kItem, kSlice, kCall, kFilter, kTest };

// .name, [item], [from:to:step], (args), |name(args), is [not] name(args)
struct Suffix {
    SuffixKind kind = SuffixKind::kAttribute;
    uint32_t line = 0;
    bool negated = false;
    std::string name;
    const Builtin* builtin = nullptr;  // of a filter or test; null: there is none of that name
    ExprPtr item, to, step;
    Arguments arguments;
};

enum class Op : uint8_t {
    kAdd,
    kSub,
    kMul,
    kDiv,
    kFloorDiv,
    kMod,
    kPow,
    kEq,
    kNe,
    kLt,
    kLe,
    kGt,
    kGe,
    kIn,
    kNotIn,
};

enum class ExprKind : uint8_t {
    kConstant,   // constant
    kName,       // name
    kList,       // parts
    kTuple,      // parts
    kDict,       // parts: key, value, key, value
    kNot,        // parts[0]
    kNegate,     // parts[0]
    kPlus,       // parts[0]
    kChain,      // parts[0] ops[0] parts[1] ops[1] ... from the left
    kCompare,    // the same, each pair compared, all must hold
    kConcat,     // parts joined by ~
    kAnd,        // parts
    kOr,         // parts
    kCondition,  // parts: test, then, else (may be null)
    kPostfix,    // parts[0] and suffixes
};

struct Expr {
    ExprKind kind = ExprKind::kConstant;
    uint32_t line = 0;
    Value constant;
    std::string name;
    std::vector<ExprPtr> parts;
    std::vector<Op> ops;
    std::vector<Suffix> suffixes;
};

// What is assigned to: a name, name.attribute of a namespace, or a tuple of targets.
struct Target {
    std::string name;
    std::string attribute;
    std::vector<Target> parts;
    bool is_tuple = false;
};

enum class StmtKind : uint8_t {
    kText,        // constant
    kOutput,      // exprs printed in turn
    kIf,          // branches, else_body
    kFor,         // target in exprs[0] if exprs[1] (may be null); body; else_body
    kSet,         // target = exprs[0]
    kSetBlock,    // target = body, through filters (a postfix chain without a base)
    kFilter,      // body printed through filters
    kMacro,       // name, parameters, body
    kWith,        // parameters are targets and values; body
    kGeneration,  // body, in a scope of its own
    kBreak,
    kContinue,
};

struct Stmt {
    StmtKind kind = StmtKind::kText;
    uint32_t line = 0;
    Value constant;
    std::string name;
    Target target;
    std::vector<ExprPtr> exprs;
    std::vector<std::pair<Target, ExprPtr>> parameters;  // value null: no default
    std::vector<std::pair<ExprPtr, Body>> branches;
    std::vector<Suffix> filters;
    Body body;
    Body else_body;
};

}  // namespace tenon::chat_template
