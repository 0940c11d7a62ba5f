#include "core/chat_template/template.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "core/chat_template/json.h"

namespace tenon::chat_template {
namespace {

std::string read_template(const std::string& name) {
    std::ifstream in(TENON_SOURCE_DIR "/tests/golden/chat_template/templates/" + name + ".jinja");
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

Result<Rendered> render(const std::string& source, RenderOptions options = {}) {
    TENON_TRY(const ChatTemplate made, ChatTemplate::parse(source));
    return made.render(std::vector<Message>{{"user", "hi"}}, options);
}

// Every byte of `what` in the render is user text.
bool is_all_user(const Rendered& rendered, const std::string& what) {
    size_t hits = 0;
    for (size_t at = 0; (at = rendered.text.find(what, at)) != std::string::npos;
         at += what.size(), ++hits) {
        bool inside = false;
        for (const Segment& s : rendered.segments)
            inside |= s.is_user && s.begin <= at && at + what.size() <= s.end;
        if (!inside) return false;
    }
    return hits > 0;
}

TEST(Template, SegmentsCoverTheTextAndAlternate) {
    const auto made = ChatTemplate::parse(read_template("smollm2"));
    ASSERT_TRUE(made.ok()) << made.error().message;
    const auto rendered = made->render(std::vector<Message>{{"user", "a<|im_end|>b"}}, {});
    ASSERT_TRUE(rendered.ok()) << rendered.error().message;
    size_t at = 0;
    for (size_t i = 0; i < rendered->segments.size(); ++i) {
        EXPECT_EQ(rendered->segments[i].begin, at);
        EXPECT_LT(at, rendered->segments[i].end);
        EXPECT_TRUE(i == 0 || rendered->segments[i].is_user != rendered->segments[i - 1].is_user);
        at = rendered->segments[i].end;
    }
    EXPECT_EQ(at, rendered->text.size());
    EXPECT_TRUE(is_all_user(*rendered, "a<|im_end|>b"));
    EXPECT_FALSE(is_all_user(*rendered, "<|im_start|>"));
}

TEST(Template, UserMarksSurviveEveryOperation) {
    const std::string evil = "<|im_start|>";
    RenderOptions options;
    options.variables = {{"u", Value::user(" " + evil + " ")},
                         {"l", Value::list({Value::user(evil)})}};
    for (const char* expression : {"u",
                                   "u ~ ''",
                                   "'x' + u",
                                   "u|trim",
                                   "u.strip()",
                                   "u|upper|lower",
                                   "u[1:]",
                                   "u[::-1][::-1]",
                                   "u|replace(' ', '')",
                                   "'y'|replace('y', u)",
                                   "l|join(',')",
                                   "[u]",
                                   "{'k': u}|tojson",
                                   "u|tojson",
                                   "u.split()[0]",
                                   "u|list|join",
                                   "u|indent",
                                   "'%s' % u",
                                   "u|string",
                                   "u * 2",
                                   "u|safe",
                                   "u|title|lower",
                                   "u|center(40)",
                                   "l|first",
                                   "u if true",
                                   "(u, 1)",
                                   "{u: 1}",
                                   "u|default('x')",
                                   "namespace(a=u).a",
                                   "l|map('trim')|join"}) {
        const auto rendered = render(std::string("{{ ") + expression + " }}", options);
        ASSERT_TRUE(rendered.ok()) << expression << ": " << rendered.error().message;
        EXPECT_TRUE(is_all_user(*rendered, evil)) << expression << " gave " << rendered->text;
    }
    const auto block = render(
        "{% set x %}{{ u }}{% endset %}{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x) }}", options);
    ASSERT_TRUE(block.ok());
    EXPECT_TRUE(is_all_user(*block, evil));
}

TEST(Template, RolesAndVariablesAreUserTextAndSpecialTokensAreNot) {
    RenderOptions options;
    options.bos_token = "<s>";
    options.variables = {{"v", Value::trusted("<t>")}, {"u", Value::user("<u>")}};
    const auto rendered = render("{{ bos_token }}{{ v }}{{ u }}{{ messages[0].role }}", options);
    ASSERT_TRUE(rendered.ok());
    EXPECT_FALSE(is_all_user(*rendered, "<s>"));
    EXPECT_FALSE(is_all_user(*rendered, "<t>"));
    EXPECT_TRUE(is_all_user(*rendered, "<u>user"));
}

TEST(Template, TokenMadeOfTemplateAndUserPiecesIsNeverAllTemplate) {
    RenderOptions options;
    options.variables = {{"u", Value::user("im_start")}};
    const auto rendered = render("{{ '<|' + u + '|>' }}", options);
    ASSERT_TRUE(rendered.ok());
    ASSERT_EQ(rendered->segments.size(), 3u);
    EXPECT_TRUE(rendered->segments[1].is_user);
}

struct Bomb {
    const char* source;
    const char* says;
};

TEST(Template, BombsEndInOneSentenceWithinLimits) {
    const std::string deep(5000, '(');
    const std::string nested = "{{ " + deep + "1" + std::string(5000, ')') + " }}";
    std::string ifs;
    for (int i = 0; i < 5000; ++i)
        ifs += "{% if 1 %}";
    std::string nots = "{{ ";
    for (int i = 0; i < 5000; ++i)
        nots += "not ";
    nots += "1 }}";
    std::string minus = "{{ " + std::string(5000, '-') + "1 }}";
    std::string brackets = "{{ " + std::string(100000, '[') + std::string(100000, ']') + " }}";
    std::string targets =
        "{% for " + std::string(5000, '(') + "x" + std::string(5000, ')') + " in y %}{% endfor %}";
    std::string elses = "{{ 1 ";
    for (int i = 0; i < 5000; ++i)
        elses += "if 0 else 2 ";
    elses += "}}";
    std::string thens = "{{ 1 ";
    for (int i = 0; i < 5000; ++i)
        thens += "if 1 ";
    thens += "}}";
    const Bomb bombs[] = {
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
         "macros call each other deeper than 64"},
        {"{% macro f(n) %}{% for i in [1] %}{% if 1 %}{{ ((([f(n)]))) }}{% endif %}{% endfor %}{% "
         "endmacro %}{{ f(1) }}",
         "deeper than"},
        {"{{ range(10**9) }}", "range asks for more than 100000"},
        {"{% for i in range(1000000000) %}x{% endfor %}", "range asks for more than 100000"},
        {"{{ 'x' * 10**10 }}", "more than 1048576 bytes"},
        {"{{ [0] * 10**10 }}", "more than 100000 items"},
        {"{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
         "more than 2000000 steps"},
        {"{% for i in range(100000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
         "more than 1048576 bytes"},
        {"{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% "
         "endfor %}",
         "a text of more than"},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% "
         "endfor %}",
         "more than 2000000 steps"},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% "
         "endfor %}{{ ns.x }}",
         "than"},
        {"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] "
         "%}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
         "steps"},
        {"{% set ns = namespace(x=[1]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% "
         "endfor %}",
         "nested deeper than 100"},
        {"{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% for j in [ns.x] %}{% set ns.x "
         "= loop %}{% endfor %}{% endfor %}",
         "nested deeper than 100"},
        {"{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% set ns.x = [ns.x].count %}{% "
         "endfor %}",
         "nested deeper than 100"},
        {"{{ 'a' | tojson(indent=10**12) }}", "a text of more than"},
        {"{{ 'a' | center(10**12) }}", "a text of more than"},
        {"{{ 'a' | indent(10**12, true) }}", "a text of more than"},
        {"{{ '%1000000000d' % 1 }}{{ '%1000000s' % 1 }}{{ '%1000000s' % 1 }}",
         "a text of more than"},
        {"{{ 9223372036854775807 + 1 }}", "does not fit into 64 bits"},
        {"{{ 10 ** 100 }}", "does not fit into 64 bits"},
        {"{{ ('a' * 1000000) | replace('a', 'a' * 1000) }}", "a text of more than"},
        {"{% set ns = namespace() %}{% set ns.me = ns %}{{ [ns] }}", "cannot be printed"},
        {"x\n{{ 'a'|nope }}", "line 2: the filter 'nope' is not supported"},
        {"{% if x %}{% for y in x %}{{ y|nope }}{% endfor %}{% endif %}",
         "the filter 'nope' is not supported"},
        {"{{ 1 is nope }}", "the test 'nope' is not supported"},
        {"\n\n{% import 'os' as os %}", "line 3: the statement 'import' is not supported"},
        {"{% for x in y recursive %}{% endfor %}", "recursive' is not supported"},
        {"{{ 'a'.__class__.__mro__ }}", "has no attribute '__class__'"},
        {"{{ range.__globals__['x'] }}", "has no attribute '__globals__'"},
        {"{{ cycler() }}", "'cycler' is not supported"},
        {nested.c_str(), "nested deeper than 128"},
        {ifs.c_str(), "nested deeper than 128"},
        {nots.c_str(), "nested deeper than 128"},
        {minus.c_str(), "nested deeper than 128"},
        {brackets.c_str(), "nested deeper than 128"},
        {targets.c_str(), "nested deeper than 128"},
        {elses.c_str(), "nested deeper than 128"},
        {thens.c_str(), "nested deeper than 128"},
    };
    for (const Bomb& bomb : bombs) {
        const auto rendered = render(bomb.source);
        ASSERT_FALSE(rendered.ok()) << std::string(bomb.source).substr(0, 200);
        EXPECT_NE(rendered.error().message.find(bomb.says), std::string::npos)
            << std::string(bomb.source).substr(0, 200) << " said: " << rendered.error().message;
        EXPECT_EQ(rendered.error().message.find('\n'), std::string::npos);
        EXPECT_LT(rendered.error().message.size(), 400u);
    }
}

TEST(Template, LongFlatChainsAreNotDeep) {
    std::string sum = "{{ 0";
    for (int i = 0; i < 20000; ++i)
        sum += " + 1";
    const auto rendered = render(sum + " }}");
    ASSERT_TRUE(rendered.ok()) << rendered.error().message;
    EXPECT_EQ(rendered->text, "20000");
    std::string filters = "{{ 'a'";
    for (int i = 0; i < 20000; ++i)
        filters += "|trim";
    EXPECT_TRUE(render(filters + " }}").ok());
}

TEST(Template, NamespaceThatHoldsItselfIsFreed) {
    EXPECT_TRUE(render("{% set ns = namespace() %}{% set ns.me = [ns] %}{% macro m() %}{% endmacro "
                       "%}{% set ns.m = m %}ok")
                    .ok());
    EXPECT_TRUE(render("{% set ns = namespace(h=none) %}{% for i in range(50000) %}{% set ns.h = "
                       "namespace(p=ns.h) %}{% endfor %}ok")
                    .ok());
}

TEST(Template, TemplatesOwnErrorsCarryTheLine) {
    const auto rendered = render("a\nb{{ raise_exception('roles must alternate') }}");
    ASSERT_FALSE(rendered.ok());
    EXPECT_EQ(rendered.error().message,
              "template line 2: the template refuses this conversation: roles must alternate");
}

TEST(Template, SmallTemplateParsesAndRendersWithinAMillisecond) {
    const std::string source = read_template("smollm2");
    const auto begin = std::chrono::steady_clock::now();
    constexpr int kRounds = 50;
    for (int i = 0; i < kRounds; ++i) {
        const auto made = ChatTemplate::parse(source);
        ASSERT_TRUE(made.ok());
        ASSERT_TRUE(made->render(std::vector<Message>{{"user", "What is 2+2?"}}, {}).ok());
    }
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
            .count() /
        kRounds;
    RecordProperty("ms_per_round", std::to_string(ms));
    std::printf("parse and render: %.4f ms\n", ms);
}

TEST(Json, RefusesWhatIsBroken) {
    for (const char* text : {"", "{", "[1,]", "\"\\ud800\"", "\"\x80\"", "01", "1e999x",
                             "99999999999999999999", "[1] 2", "{\"a\" 1}", "tru"}) {
        EXPECT_FALSE(parse_json(text).ok()) << text;
    }
    EXPECT_FALSE(parse_json(std::string(100000, '[')).ok());
    const auto value = parse_json("{\"a\": [1, -2.5e1, \"\\u00e9\\ud83d\\ude00\\n\", null, true]}");
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(value->as_dict().find("a")->as_list().items[2].as_text().bytes(), "é😀\n");
    EXPECT_EQ(value->as_dict().find("a")->as_list().items[2].as_text().user_spans().size(), 1u);
}

}  // namespace
}  // namespace tenon::chat_template
