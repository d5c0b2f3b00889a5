// Tests: input is name(arguments).
#include <unordered_map>

#include "engine/text/jinja/builtins.hpp"
#include "engine/text/jinja/operators.hpp"

namespace aorta::engine::jinja {
namespace {

using TestFunction = bool (*)(Runtime&, const Value&, const CallArguments&);

template <BinaryOp op>
bool binary_test(Runtime& runtime, const Value& input, const CallArguments& arguments) {
  return apply_binary(runtime, op, input, arguments.get(0, "")).truthy();
}
template <int parity>
bool parity_test(Runtime& runtime, const Value& input, const CallArguments&) {
  const Number number = number_of(input);
  if (!number.is_integer) wrong_type(runtime, "odd and even", input);
  return number.is_integer && (number.integer & 1) == parity;
}
template <class T>
bool type_test(Runtime&, const Value& input, const CallArguments&) {
  return input.get<T>() != nullptr;
}
bool is_sequence(Runtime&, const Value& input, const CallArguments&) {
  return input.list() || input.dict() || input.string();
}

const std::unordered_map<std::string_view, TestFunction> tests = {
    {"defined", [](Runtime&, const Value& v, const CallArguments&) { return !v.is_undefined(); }},
    {"undefined", type_test<Undefined>},
    {"none", type_test<None>},
    {"string", type_test<String>},
    {"boolean", type_test<bool>},
    {"integer", type_test<std::int64_t>},
    {"float", type_test<double>},
    {"number", [](Runtime&, const Value& v, const CallArguments&) { return number_of(v).ok; }},
    {"mapping", [](Runtime&, const Value& v, const CallArguments&) { return v.dict() != nullptr; }},
    {"iterable", [](Runtime& r, const Value& v,
                    const CallArguments& a) { return v.is_undefined() || is_sequence(r, v, a); }},
    {"sequence", is_sequence},
    {"true", [](Runtime&, const Value& v,
                const CallArguments&) { return v.get<bool>() && *v.get<bool>(); }},
    {"false", [](Runtime&, const Value& v,
                 const CallArguments&) { return v.get<bool>() && !*v.get<bool>(); }},
    {"callable", type_test<Function>},
    {"odd", parity_test<1>},
    {"even", parity_test<0>},
    {"equalto", binary_test<BinaryOp::equal>},
    {"eq", binary_test<BinaryOp::equal>},
    {"ne", binary_test<BinaryOp::not_equal>},
    {"lt", binary_test<BinaryOp::less>},
    {"gt", binary_test<BinaryOp::greater>},
    {"in", binary_test<BinaryOp::in>},
};

}  // namespace

bool apply_test(Runtime& runtime, const std::string& name, const Value& input,
                const CallArguments& arguments) {
  const auto test = tests.find(name);
  if (test == tests.end()) {
    runtime.unsupported("the test 'is " + name + "' is not supported");
    return false;
  }
  return runtime.charge() && test->second(runtime, input, arguments);
}

}  // namespace aorta::engine::jinja
