#include "core/tokenizer/split_rules.h"

namespace tenon::tokenizer {
namespace {

// White space as Unicode's White_Space property has it. The \s of PCRE2 adds U+180E, which the
// tokenizers these rules come from do not count.
#define TENON_SPACE                                                                              \
    "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}"
// The end of most rules: a run of white space leaves its last one to the word that follows.
#define TENON_SPACE_RUNS "|[" TENON_SPACE "]+(?![^" TENON_SPACE "])|[" TENON_SPACE "]+"
// Case is spelled out: caseless matching would take U+017F for an s.
#define TENON_CONTRACTION "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
// Letters that are not a-z, any number, then letters that are not A-Z: words cut where case rises.
// A letter beyond ASCII counts as both.
#define TENON_UPPER "[^\\P{L}a-z]"
#define TENON_LOWER "[^\\P{L}A-Z]"

constexpr const char* kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d"
    "| ?\\p{L}+| ?\\p{N}+| ?[^" TENON_SPACE "\\p{L}\\p{N}]+" TENON_SPACE_RUNS;
constexpr const char* kLlama3 = TENON_CONTRACTION
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
    "| ?[^" TENON_SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" TENON_SPACE "]*[\\r\\n]+" TENON_SPACE_RUNS;
constexpr const char* kQwen2 = TENON_CONTRACTION
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
    "| ?[^" TENON_SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" TENON_SPACE "]*[\\r\\n]+" TENON_SPACE_RUNS;
constexpr const char* kQwen35 = TENON_CONTRACTION
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
    "| ?[^" TENON_SPACE "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|[" TENON_SPACE
    "]*[\\r\\n]+" TENON_SPACE_RUNS;
constexpr const char* kTekken =
    "[^\\r\\n\\p{L}\\p{N}]?" TENON_UPPER "*" TENON_LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" TENON_UPPER
    "+" TENON_LOWER "*|\\p{N}| ?[^" TENON_SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|[" TENON_SPACE
    "]*[\\r\\n]+" TENON_SPACE_RUNS;
constexpr const char* kGpt4o =
    "[^\\r\\n\\p{L}\\p{N}]?" TENON_UPPER "*" TENON_LOWER "+(?:" TENON_CONTRACTION
    ")?|[^\\r\\n\\p{L}\\p{N}]?" TENON_UPPER "+" TENON_LOWER "*(?:" TENON_CONTRACTION
    ")?|\\p{N}{1,3}| ?[^" TENON_SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|[" TENON_SPACE
    "]*[\\r\\n]+" TENON_SPACE_RUNS;

constexpr const char* kOneDigit = "\\p{N}";
constexpr const char* kDigits = "\\p{N}+";
constexpr const char* kUpToThreeDigits = "\\p{N}{1,3}";
constexpr const char* kThreeDigits = "[0-9][0-9][0-9]";
constexpr const char* kPunctuation = "[\\p{P}$+<=>^~|]+";
constexpr const char* kPunctuationAndGrave = "[\\p{P}$+<=>^~|`]+";

constexpr const char* kLineEnd = "[\\r\\n]";
constexpr const char* kSpaceLetters = "[" TENON_SPACE "]?\\p{L}+";
constexpr const char* kSpacePunctuation = "[" TENON_SPACE "]?\\p{P}+";
// White space at the end of the text. What stands before is looked at so that no run of white space
// is read again from each of its places.
constexpr const char* kLastSpaces = "(?<![" TENON_SPACE "])[" TENON_SPACE "]++\\z";
// U+0800 to U+9FA5 and U+AC00 to U+D7FF without white space: in the rule's own text one range runs
// over another and takes in far more than the ideographs it names.
constexpr const char* kDeepSeekWide =
    "[\\x{800}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{"
    "205e}"
    "\\x{2060}-\\x{2fff}\\x{3001}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+";
constexpr const char* kIdeographsAndKana = "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+";
// Letters that have case, as a list of its own rather than by property: it is older than the scripts
// that came later.
constexpr const char* kDeepSeekLetters =
    "[" TENON_SPACE
    "]?["
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}"
    "\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}"
    "\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}"
    "\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}"
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}"
    "\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}"
    "\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}"
    "\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}"
    "\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}"
    "\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}"
    "\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
    "]+";
constexpr const char* kDeepSeekPunctuation =
    "[" TENON_SPACE
    "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3001}\\x{3002}]+";
constexpr const char* kDeepSeekV3 =
    "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\\r\\n]*|[" TENON_SPACE "]*[\\r\\n]+" TENON_SPACE_RUNS;

constexpr SplitRules kRulesGpt2 = {{kGpt2}, false, false};
constexpr SplitRules kRulesSmollm = {{kOneDigit, kGpt2}, false, false};
constexpr SplitRules kRulesLlama3 = {{kLlama3}, true, true};
constexpr SplitRules kRulesLlama3Merging = {{kLlama3}, false, false};
constexpr SplitRules kRulesLlama3Whole = {{kLlama3}, true, false};
constexpr SplitRules kRulesQwen2 = {{kQwen2}, false, false};
constexpr SplitRules kRulesQwen35 = {{kQwen35}, false, false};
constexpr SplitRules kRulesDeepSeekLlm = {
    {kLineEnd, kDeepSeekLetters, kDeepSeekPunctuation, kLastSpaces, kDeepSeekWide, kDigits},
    false,
    false};
constexpr SplitRules kRulesDeepSeekCoder = {
    {kLineEnd, kSpaceLetters, kSpacePunctuation, kDeepSeekWide, kOneDigit}, false, false};
constexpr SplitRules kRulesDeepSeekV3 = {
    {kUpToThreeDigits, kIdeographsAndKana, kDeepSeekV3}, false, false};
constexpr SplitRules kRulesTekken = {{kTekken}, true, true};
constexpr SplitRules kRulesGpt4o = {{kGpt4o}, false, false};
constexpr SplitRules kRulesFalcon = {{kPunctuationAndGrave, kGpt2, kThreeDigits}, false, false};
constexpr SplitRules kRulesDefault = {{kPunctuation, kGpt2, kDigits, kThreeDigits}, false, false};

struct NamedRules {
    std::string_view name;
    const SplitRules* rules;
};

constexpr NamedRules kNamed[] = {
    {"smollm", &kRulesSmollm},
    {"starcoder", &kRulesSmollm},
    {"refact", &kRulesSmollm},
    {"command-r", &kRulesSmollm},
    {"codeshell", &kRulesSmollm},
    {"exaone", &kRulesSmollm},
    {"minerva-7b", &kRulesSmollm},
    {"gpt-2", &kRulesGpt2},
    {"phi-2", &kRulesGpt2},
    {"mpt", &kRulesGpt2},
    {"olmo", &kRulesGpt2},
    {"jais", &kRulesGpt2},
    {"gigachat", &kRulesGpt2},
    {"exaone4", &kRulesGpt2},
    {"trillion", &kRulesGpt2},
    {"granite-docling", &kRulesGpt2},
    {"llama-bpe", &kRulesLlama3},
    {"llama3", &kRulesLlama3},
    {"llama-v3", &kRulesLlama3},
    {"falcon3", &kRulesLlama3},
    {"falcon-h1", &kRulesLlama3},
    {"pixtral", &kRulesLlama3},
    {"lfm2", &kRulesLlama3},
    {"dbrx", &kRulesLlama3Merging},
    {"smaug-bpe", &kRulesLlama3Merging},
    {"chatglm-bpe", &kRulesLlama3Merging},
    {"glm4", &kRulesLlama3Whole},
    {"qwen2", &kRulesQwen2},
    {"deepseek-r1-qwen", &kRulesQwen2},
    {"megrez", &kRulesQwen2},
    {"stablelm2", &kRulesQwen2},
    {"hunyuan", &kRulesQwen2},
    {"solar-open", &kRulesQwen2},
    {"grok-2", &kRulesQwen2},
    {"qwen35", &kRulesQwen35},
    {"deepseek-llm", &kRulesDeepSeekLlm},
    {"deepseek-coder", &kRulesDeepSeekCoder},
    {"deepseek-v3", &kRulesDeepSeekV3},
    {"hunyuan-dense", &kRulesDeepSeekV3},
    {"joyai-llm", &kRulesDeepSeekV3},
    {"tekken", &kRulesTekken},
    {"gpt-4o", &kRulesGpt4o},
    {"llama4", &kRulesGpt4o},
    {"falcon", &kRulesFalcon},
    {"default", &kRulesDefault},
};

}  // namespace

const SplitRules* find_split_rules(std::string_view name) noexcept {
    if (name.empty()) name = "default";
    for (const NamedRules& named : kNamed) {
        if (named.name == name) return named.rules;
    }
    return nullptr;
}

std::string split_rule_names() {
    std::string names;
    for (const NamedRules& named : kNamed) {
        if (!names.empty()) names += ", ";
        names += named.name;
    }
    return names;
}

}  // namespace tenon::tokenizer
