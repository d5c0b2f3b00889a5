#include "engine/text/jinja/evaluator.hpp"

#include <optional>

#include "engine/text/jinja/builtins.hpp"
#include "engine/text/jinja/operators.hpp"

namespace aorta::engine::jinja {
namespace {

class Evaluator {
 public:
  Evaluator(Variables variables, const Limits& limits) : runtime_(limits) {
    frames_.push_back({std::move(variables), std::nullopt});
  }

  Result<std::string> run(const Block& block) {
    std::string out;
    execute(block, out);
    if (runtime_.failed()) return *runtime_.error();
    return out;
  }

 private:
  struct Loop {
    const std::vector<Value>* items = nullptr;
    std::size_t index = 0;
  };
  // Names of one scope: the template's, or one turn of a loop.
  struct Frame {
    Variables variables;
    std::optional<Loop> loop;
  };

  void execute(const Block& block, std::string& out);
  void execute(const Text& text, std::string& out) { runtime_.append(out, text.text); }
  void execute(const Output& output, std::string& out) {
    runtime_.append(out, runtime_.print(eval(output.value)));
  }
  void execute(const If& statement, std::string& out);
  void execute(const For& statement, std::string& out);
  void execute(const Set& statement, std::string& out);
  void bind(const std::vector<std::string>& targets, const Value& item);
  void assign(const std::string& name, Value value);
  std::vector<Value> filtered(const For& statement);

  Value lookup(const std::string& name);
  Value loop_value(const Loop& loop);

  Value eval(const ExprPtr& expr);  // null: undefined
  Value eval(const Literal& node) { return node.value; }
  Value eval(const Name& node) { return lookup(node.name); }
  Value eval(const ListExpr& node) { return runtime_.list(eval_all(node.items)); }
  Value eval(const DictExpr& node);
  Value eval(const Unary& node) { return apply_unary(runtime_, node.op, eval(node.operand)); }
  Value eval(const Binary& node);
  Value eval(const Conditional& node) {
    return eval(node.condition).truthy() ? eval(node.value) : eval(node.otherwise);
  }
  Value eval(const Attribute& node) {
    return get_attribute(runtime_, eval(node.object), node.name);
  }
  Value eval(const Subscript& node);
  Value eval(const Slice& node);
  Value eval(const Call& node);
  Value eval(const Filter& node);
  Value eval(const Test& node);
  std::vector<Value> eval_all(const std::vector<ExprPtr>& exprs);
  CallArguments eval(const Arguments& arguments);

  Runtime runtime_;
  std::vector<Frame> frames_;
};

// --- statements ---

void Evaluator::execute(const Block& block, std::string& out) {
  for (const Statement& statement : block) {
    runtime_.at_line(statement.line);
    if (!runtime_.charge()) return;
    std::visit([&](const auto& node) { execute(node, out); }, statement.node);
  }
}

void Evaluator::execute(const If& statement, std::string& out) {
  for (const auto& [condition, body] : statement.branches) {
    const bool taken = eval(condition).truthy();
    if (runtime_.failed()) return;
    if (taken) return execute(body, out);
  }
  execute(statement.otherwise, out);
}

// The items of the loop that its `if` lets through: loop.length and loop.last count only those.
std::vector<Value> Evaluator::filtered(const For& statement) {
  std::vector<Value> items = runtime_.iterate(eval(statement.iterable));
  if (!statement.filter) return items;
  std::vector<Value> kept;
  for (const Value& item : items) {
    frames_.push_back({});
    bind(statement.targets, item);
    if (eval(statement.filter).truthy()) kept.push_back(item);
    frames_.pop_back();
    if (runtime_.failed()) return {};
  }
  return kept;
}

void Evaluator::execute(const For& statement, std::string& out) {
  const std::vector<Value> items = filtered(statement);
  if (items.empty()) return execute(statement.otherwise, out);
  for (std::size_t i = 0; i < items.size() && !runtime_.failed(); ++i) {
    frames_.push_back({{}, Loop{&items, i}});
    bind(statement.targets, items[i]);
    execute(statement.body, out);
    frames_.pop_back();
  }
}

void Evaluator::bind(const std::vector<std::string>& targets, const Value& item) {
  if (targets.size() == 1) return assign(targets[0], item);
  const List* parts = item.list();
  if (!parts || parts->items.size() != targets.size()) {
    runtime_.invalid("cannot unpack an item into " + std::to_string(targets.size()) + " names");
    return;
  }
  for (std::size_t i = 0; i < targets.size(); ++i) assign(targets[i], parts->items[i]);
}

void Evaluator::assign(const std::string& name, Value value) {
  Variables& variables = frames_.back().variables;
  if (!runtime_.charge(1 + variables.size() / 8)) return;
  for (auto& [other, old] : variables) {
    if (other == name) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(name, std::move(value));
}

void Evaluator::execute(const Set& statement, std::string&) {
  Value value;
  if (statement.value) {
    value = eval(statement.value);
  } else {
    std::string text;
    execute(statement.body, text);
    value = runtime_.string(std::move(text));
  }
  if (statement.attribute.empty()) return assign(statement.name, std::move(value));
  const Value target = lookup(statement.name);
  Namespace* space = target.as_namespace();
  if (!space) {
    runtime_.invalid("'" + statement.name + "' is not a namespace, so nothing in it can be set");
  } else if (value.as_namespace()) {
    runtime_.unsupported("a namespace inside a namespace is not supported");
  } else if (runtime_.charge(1 + space->entries.size() / 8)) {
    space->set(statement.attribute, std::move(value));
  }
}

// --- names ---

// The innermost scope's; `loop` is the innermost loop's.
Value Evaluator::lookup(const std::string& name) {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    if (!runtime_.charge(1 + frame->variables.size() / 8)) return {};
    for (const auto& [other, value] : frame->variables) {
      if (other == name) return value;
    }
    if (frame->loop && name == "loop") return loop_value(*frame->loop);
  }
  if (is_function(name)) return Value(Function{name});
  return Value(Undefined{name});
}

Value Evaluator::loop_value(const Loop& loop) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto length = static_cast<std::int64_t>(loop.items->size());
  Variables entries = {{"index", Value(index + 1)},
                       {"index0", Value(index)},
                       {"first", Value(index == 0)},
                       {"last", Value(index + 1 == length)},
                       {"length", Value(length)},
                       {"revindex", Value(length - index)},
                       {"revindex0", Value(length - index - 1)}};
  if (index > 0) entries.emplace_back("previtem", (*loop.items)[loop.index - 1]);
  if (index + 1 < length) entries.emplace_back("nextitem", (*loop.items)[loop.index + 1]);
  return runtime_.dict(std::move(entries));
}

// --- expressions ---

Value Evaluator::eval(const ExprPtr& expr) {
  if (!expr || !runtime_.charge()) return {};
  runtime_.at_line(expr->line);
  return std::visit([&](const auto& node) { return eval(node); }, expr->node);
}

std::vector<Value> Evaluator::eval_all(const std::vector<ExprPtr>& exprs) {
  std::vector<Value> values;
  values.reserve(exprs.size());
  for (const ExprPtr& expr : exprs) values.push_back(eval(expr));
  return values;
}

Value Evaluator::eval(const DictExpr& node) {
  Variables entries;
  for (const auto& [key_expr, value_expr] : node.entries) {
    const Value key = eval(key_expr);
    if (!key.string()) return runtime_.unsupported("a dict's keys must be strings");
    entries.emplace_back(*key.string(), eval(value_expr));
  }
  return runtime_.dict(std::move(entries));
}

Value Evaluator::eval(const Binary& node) {
  const Value left = eval(node.left);
  if (node.op == BinaryOp::logical_or) return left.truthy() ? left : eval(node.right);
  if (node.op == BinaryOp::logical_and) return left.truthy() ? eval(node.right) : left;
  const Value right = eval(node.right);
  return runtime_.failed() ? Value() : apply_binary(runtime_, node.op, left, right);
}

Value Evaluator::eval(const Subscript& node) {
  const Value object = eval(node.object);
  const Value index = eval(node.index);
  return runtime_.failed() ? Value() : get_item(runtime_, object, index);
}

Value Evaluator::eval(const Slice& node) {
  const Value object = eval(node.object);
  const SliceBounds bounds{eval(node.start), eval(node.stop), eval(node.step)};
  return runtime_.failed() ? Value() : get_slice(runtime_, object, bounds);
}

Value Evaluator::eval(const Call& node) {
  if (const auto* method = std::get_if<Attribute>(&node.callee->node)) {
    const Value object = eval(method->object);
    const CallArguments arguments = eval(node.arguments);
    return runtime_.failed() ? Value() : call_method(runtime_, object, method->name, arguments);
  }
  const Value callee = eval(node.callee);
  const CallArguments arguments = eval(node.arguments);
  if (runtime_.failed()) return {};
  if (const auto* function = callee.get<Function>()) {
    return call_function(runtime_, function->name, arguments);
  }
  if (const auto* undefined = callee.get<Undefined>()) {
    return runtime_.unsupported("the function '" + undefined->name + "' is not supported");
  }
  return runtime_.invalid("a " + std::string(callee.type_name()) + " cannot be called");
}

Value Evaluator::eval(const Filter& node) {
  const Value input = eval(node.input);
  const CallArguments arguments = eval(node.arguments);
  return runtime_.failed() ? Value() : apply_filter(runtime_, node.name, input, arguments);
}

Value Evaluator::eval(const Test& node) {
  const Value input = eval(node.input);
  const CallArguments arguments = eval(node.arguments);
  if (runtime_.failed()) return {};
  return Value(apply_test(runtime_, node.name, input, arguments) != node.negated);
}

CallArguments Evaluator::eval(const Arguments& arguments) {
  CallArguments values;
  values.positional = eval_all(arguments.positional);
  for (const auto& [name, expr] : arguments.named) values.named.emplace_back(name, eval(expr));
  return values;
}

}  // namespace

Result<std::string> evaluate(const Block& block, Variables variables, const Limits& limits) {
  return Evaluator(std::move(variables), limits).run(block);
}

}  // namespace aorta::engine::jinja
