// Who asks a simulated mesh for what: drawn from the seed, or written down in a script.
#include <fmt/format.h>

#include <algorithm>

#include "base/request_owner.hpp"
#include "tests/sim/world.hpp"

namespace aorta::sim {

using std::chrono::seconds;

namespace {
constexpr std::int64_t begin_us = 200'000;  // executors may not be ready yet
}

// Half the prompts begin as others of the world do: some of what a cache is asked for is there.
void World::share_prefix(std::vector<TokenId>& prompt, Random& random) const {
  if (!random.chance(0.5)) return;
  Random document(seed_ * 31 + static_cast<std::uint64_t>(random.between(0, 1)));
  std::vector<TokenId> shared;
  for (std::int64_t left = random.between(16, 200); left > 0; --left) {
    shared.push_back(static_cast<TokenId>(document.between(8, 255)));
  }
  prompt.insert(prompt.begin(), shared.begin(), shared.end());
}

ClientPlan World::make_plan(int number, Random& random) {
  using Habit = ClientPlan::Habit;
  ClientPlan plan;
  const std::int64_t kind = random.between(0, 19);
  plan.habit = kind < 8    ? Habit::reads
               : kind < 10 ? Habit::cancels
               : kind < 12 ? Habit::dawdles
               : kind < 15 ? Habit::resumes
               : kind < 17 ? Habit::vanishes
                           : Habit::repeats;
  plan.after_tokens = static_cast<std::uint32_t>(random.between(0, options_.max_tokens / 2));
  plan.pause = Duration(random.between(1000, 1'800'000));
  plan.park = park_;
  plan.retain = retain_;

  admission::GenerateRequest& request = plan.request;
  request.id = {random.next(), random.next() << 8 | static_cast<std::uint64_t>(number) << 2};
  request.tenant = random.chance(0.5) ? "blue" : "red";
  request.id = owned_id(request.id, request.tenant);
  request.tier = static_cast<mesh::Tier>(random.chance(0.1) ? 0 : random.between(1, 2));
  const std::int64_t prompt = random.chance(0.3) ? random.between(1, 400) : random.between(1, 60);
  for (std::int64_t i = 0; i < prompt; ++i) {
    request.prompt_ids.push_back(static_cast<TokenId>(random.between(8, 255)));
  }
  Random habits(seed_ * 2003 + static_cast<std::uint64_t>(number));
  share_prefix(request.prompt_ids, habits);
  if (habits.chance(0.3)) request.sampling.logit_bias = {{'x', 85.0f}};  // easy to guess ahead
  plan.poisonous = number == 0 && random.chance(options_.faults.poison);
  if (plan.poisonous) {
    request.prompt_ids[random.next() % request.prompt_ids.size()] = poison_id;
  } else if (random.chance(0.3)) {  // a chat: its answer begins with thinking
    request.messages = {{"user", {request.prompt_ids.begin(), request.prompt_ids.end()}}};
    request.prompt_ids.clear();
  }
  request.max_tokens = static_cast<std::uint32_t>(random.between(1, options_.max_tokens));
  request.ignore_eos = random.chance(0.3);
  request.sampling.temperature = random.chance(0.3) ? 0.0f : 0.9f;
  request.sampling.seed = random.next();
  if (random.chance(0.5)) {  // what the fake engine mixes into its hash, and the index with it
    request.sampling.top_k = static_cast<std::uint32_t>(random.between(1, 50));
    request.sampling.top_p = 0.9f;
    request.sampling.frequency_penalty = 0.25f;
  }
  if (random.chance(0.2)) request.choices = static_cast<std::uint32_t>(random.between(2, 3));
  if (random.chance(0.2)) request.top_logprobs = static_cast<std::uint32_t>(random.between(0, 3));
  if (random.chance(0.3)) request.stop = {"e", "zz"};
  if (random.chance(0.2)) {
    request.ignore_eos = false;
    request.stop_ids = {'a', 'o'};
    request.min_tokens = static_cast<std::uint32_t>(random.between(1, *request.max_tokens));
  }
  if (random.chance(0.04))
    request.timeout_ms = static_cast<std::uint32_t>(random.between(300, 3000));
  if (plan.habit == Habit::resumes) {
    request.on_disconnect =
        random.chance(0.5) ? admission::OnDisconnect::park : admission::OnDisconnect::finish;
  }
  if (plan.habit == Habit::repeats) {
    request.idempotency_key = fmt::format("key-{}", number);
    request.body_digest = request.idempotency_key;
  }
  plan.when_cut = static_cast<ClientPlan::Cut>(random.between(0, 2));
  return plan;
}

void World::plan_clients() {
  if (!options_.script.clients.empty()) return plan_script();
  Random crowd(seed_ ^ 0x63726f7764);
  clients_planned_ = crowd.chance(options_.crowded) ? options_.crowd : options_.clients;
  for (int i = 0; i < clients_planned_; ++i) {
    Random random(seed_ * 1009 + static_cast<std::uint64_t>(i));
    random.next();
    ClientPlan plan = make_plan(i, random);
    AdmissionProcess& admission = any_admission(random);
    AdmissionProcess& other = any_admission(random);
    const auto arrival = Duration(random.between(begin_us, begin_us + options_.arrivals.count()));
    if (options_.without_clients.contains(i)) continue;
    add_client(i, admission, other, std::move(plan), arrival);
  }
}

void World::add_client(int number, AdmissionProcess& admission, AdmissionProcess& other,
                       ClientPlan plan, Duration arrival) {
  clients_.push_back(
      std::make_unique<Client>(timeline_, admission, other, oracle_, std::move(plan)));
  Client* client = clients_.back().get();
  client->tell = [this, number](const std::string& line) {
    tell(fmt::format("client r{}", number), line);
  };
  const admission::GenerateRequest& request = client->plan().request;
  for (std::uint32_t choice = 0; choice < request.choices; ++choice) {
    known_[request.id.low + choice] = {client, choice};
  }
  tally_.requests += request.choices;
  timeline_.after(arrival, [client] { client->begin(); });
}

void World::plan_script() {
  constexpr Duration asked_at = seconds(1);  // every executor is ready
  for (std::size_t i = 0; i < options_.script.clients.size(); ++i) {
    ClientPlan plan = options_.script.clients[i];
    plan.request.id = owned_id({seed_, static_cast<std::uint64_t>(i) << 2}, plan.request.tenant);
    add_client(static_cast<int>(i), *admissions_[i % admissions_.size()], *admissions_.front(),
               std::move(plan), asked_at);
  }
  cuts_ = options_.script.cuts;
  if (options_.script.kill_after == Duration::zero()) return;
  timeline_.after(asked_at + options_.script.kill_after, [this] {
    const RequestId first = clients_.front()->plan().request.id;
    for (auto& executor : executors_) {
      bool aboard = false;
      if (executor->alive()) {
        executor->core().each_run([&](const executor::Executor::RunView& run) {
          aboard = aboard || run.key.request == first;
        });
      }
      if (!aboard) continue;
      ++tally_.faults;
      executor->kill();
    }
  });
}

// A cut of the script, when its token has been generated.
void World::play(ExecutorProcess& executor, std::uint32_t token) {
  const auto cut =
      std::find_if(cuts_.begin(), cuts_.end(), [&](const Cut& one) { return one.token == token; });
  if (cut == cuts_.end()) return;
  timeline_.after(cut->after, [this, &executor, what = cut->what, self = executor.self()] {
    if (!executor.alive() || executor.self() != self) return;
    ++tally_.faults;
    disturb(timeline_.now());
    if (what == Cut::What::kill) executor.kill();
    if (what == Cut::What::crash) executor.crash();
    if (what == Cut::What::drain) executor.drain();
  });
  cuts_.erase(cut);
}

}  // namespace aorta::sim
