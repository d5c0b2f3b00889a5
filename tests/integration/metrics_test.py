"""Every figure that a mesh reports is in the manual's table with its kind and labels, and every row
of the table is reported. The text is read by Prometheus' own parser and by stricter rules.
"""

import re
import time

from prometheus_client.parser import text_string_to_metric_families

import mesh as meshes
from streams import ask_zmq

SERVICES = {"admission", "scheduler", "executor-1", "executor-2", "cache", "node"}


def manual():
    """docs/operations.md's rows: {name: (by, kind, labels)}. A test of the code keeps them true."""
    text = (meshes.ROOT / "docs/operations.md").read_text()
    row = r"^\| `((?:aorta_|vllm:)[^`]*)` \| (\w+) \| (\w+) \| [^|]* \| ([^|]*) \|"
    return {name: (by, kind, set(labels.split()))
            for name, by, kind, labels in re.findall(row, text, re.M)}


def scrape(mesh, port=2):
    status, headers, text = mesh.http("GET", "/metrics", port=port)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return text


def families_of(text):
    """{name: family}, where the parser's custom of dropping _total is undone."""
    families = {}
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        assert name not in families, f"{name} is in two places"
        families[name] = family
    return families


def samples_of(families, name):
    return families[name].samples if name in families else []


def scrape_until(mesh, enough):
    """Services report each second: scrapes until they have."""
    deadline = time.monotonic() + meshes.PATIENCE_S
    while True:
        text = scrape(mesh)
        families = families_of(text)
        if enough(families):
            return text, families
        assert time.monotonic() < deadline, text


def ask(mesh):
    """One request by each front, and one that is refused."""
    ask_zmq(mesh, "Count me", max_tokens=8, seed=1)
    body = {"prompt": "Count me, too", "max_tokens": 6, "seed": 2, "model": "default"}
    assert mesh.http("POST", "/v1/completions", body)[0] == 200
    assert mesh.http("POST", "/v1/completions", {**body, "model": "none such"})[0] == 404


def reported(families, requests):
    told = {s.labels.get("service") for name, family in families.items() if name != "aorta_up"
            for s in family.samples}
    seen = sum(s.value for s in samples_of(families, "vllm:request_success_total"))
    return told >= SERVICES and seen >= requests


def test_what_is_reported_is_what_the_manual_says(mesh):
    ask(mesh)
    text, families = scrape_until(mesh, lambda families: reported(families, 2))
    table = manual()
    del table["aorta_security_rejected_total"]  # nobody was refused here
    assert set(families) == set(table), set(families) ^ set(table)
    for name, family in families.items():
        by, kind, labels = table[name]
        assert family.type == kind, name
        for sample in family.samples:
            extra = {"service"} | ({"le"} if sample.name.endswith("_bucket") else set())
            assert set(sample.labels) - extra == labels - extra, sample
            assert by == "monitor" or sample.labels["service"].startswith(by), sample
    strict(text)


def strict(text):
    """What Prometheus' parser in Python lets pass."""
    seen = set()
    for line in text.splitlines():
        assert re.match(r"# (HELP|TYPE) [a-zA-Z_:][\w:]* \S|[a-zA-Z_:][\w:]*(\{.*\})? \S+$", line), line
        series = line.rsplit(" ", 1)[0] if line[0] != "#" else " ".join(line.split()[:3])
        assert series not in seen, f"twice: {series}"
        seen.add(series)


def test_histograms_are_cumulative_and_whole(mesh):
    ask(mesh)
    _, families = scrape_until(mesh, lambda families: reported(families, 2))
    for name, family in families.items():
        if family.type != "histogram":
            continue
        series = {}
        for sample in family.samples:
            rest = {k: v for k, v in sample.labels.items() if k != "le"}
            one = series.setdefault(tuple(sorted(rest.items())), {"buckets": []})
            if sample.name == name + "_bucket":
                one["buckets"].append((float(sample.labels["le"]), sample.value))
            else:
                one[sample.name.removeprefix(name)] = sample.value
        for labels, one in series.items():
            edges, counts = zip(*one["buckets"])
            assert list(edges) == sorted(edges) and edges[-1] == float("inf"), (name, labels)
            assert list(counts) == sorted(counts) and counts[-1] == one["_count"], (name, labels)
            assert (one["_sum"] > 0) <= (one["_count"] > 0), (name, labels)


def test_vllm_figures_count_what_was_asked(mesh):
    def totals():
        families = families_of(scrape(mesh, port=0))  # as of now

        def value(name, **labels):
            return sum(s.value for s in samples_of(families, name)
                       if all(s.labels.get(k) == v for k, v in labels.items()))
        return {"length": value("vllm:request_success_total", finished_reason="length"),
                "tokens": value("vllm:generation_tokens_total"),
                "first": sum(s.value for s in samples_of(families, "vllm:time_to_first_token_seconds")
                             if s.name.endswith("_count"))}

    before = totals()
    ask(mesh)
    after = totals()
    assert after["length"] - before["length"] == 2
    assert after["tokens"] - before["tokens"] == 8 + 6
    assert after["first"] - before["first"] == 2
    _, families = scrape_until(mesh, lambda families: reported(families, 2))
    assert {s.labels["model_name"] for s in samples_of(families, "vllm:num_requests_running")} == {
        s.labels["model_name"] for s in samples_of(families, "vllm:kv_cache_usage_perc")}


def test_an_admission_shows_its_own_figures(mesh):
    ask(mesh)
    own = families_of(scrape(mesh, port=0))
    assert samples_of(own, "aorta_http_requests_total")[0].value >= 1
    assert samples_of(own, "aorta_zmq_requests_total")[0].value >= 1
    assert "aorta_executor_slots" not in own
