# SPDX-License-Identifier: Apache-2.0
"""Lists of 100,000 networks: in force with the default memory, or refused in words."""
import time

from httpd import config, policy, wait_until

COUNT = 100000


def networks(first_octet, count=COUNT):
    """Different ones that do not melt together: every other /32."""
    return [{"value": f"{first_octet}.{n >> 15 & 255}.{n >> 7 & 255}.{n << 1 & 255}"}
            for n in range(count)]


def large(name, first_octet, effect="none", more=()):
    return {"name": name, "effect": effect,
            "entries": networks(first_octet, COUNT - len(more)) +
            [{"value": value} for value in more]}


def test_704_01_three_lists_of_100000_are_in_force_with_the_default_memory(httpd):
    server = httpd(directives="L7ShieldMemory 64M", policies=config(
        policy("listed", {"deny": {}}, match={"client": {"in": ["@third"]}}),
        lists=[large("first", 10, "deny", ["127.0.5.0/24"]),
               large("second", 11, "allow", ["127.0.6.1"]),
               large("third", 12, "none", ["127.0.6.1", "127.0.7.128/25"])]))
    wait_until(lambda: server.get("/", address="127.0.5.9").status == 403, 20, "the lists")
    assert server.get("/", address="127.0.5.9").headers["l7shield-policy"] == "first"
    assert server.get("/", address="127.0.6.1").status == 200
    assert server.get("/", address="127.0.7.200").headers["l7shield-policy"] == "listed"
    assert [server.get("/", address=a).status for a in
            ("127.0.4.255", "127.0.6.0", "127.0.7.127", "127.0.0.1")] == [200] * 4
    # A request costs what it costs without: the undisturbed server is the measure.
    client = server.client("127.0.0.9")

    def fastest():
        times = []
        for _ in range(40):
            start = time.perf_counter()
            assert client.get("/").status == 200
            times.append(time.perf_counter() - start)
        return min(times)

    with_lists = fastest()
    server.write_policies(config())
    wait_until(lambda: server.get("/", address="127.0.5.9").status == 200, 5, "the end of it")
    assert with_lists < fastest() + 0.005
    client.close()


def test_704_02_lists_that_do_not_fit_are_refused_and_the_old_ones_stay(httpd):
    small = config(lists=[{"name": "small", "effect": "deny",
                           "entries": [{"value": "127.0.5.0/24"}]}])
    server = httpd(directives="L7ShieldMemory 16M", policies=small)
    assert server.get("/", address="127.0.5.9").status == 403
    server.expects("L7S2021")
    server.write_policies(config(lists=[
        large(f"l{n}", 20 + n, "deny", ["127.0.6.1"] if n == 0 else []) for n in range(3)]))
    wait_until(lambda: "L7S2021" in server.errors(), 20, "the refusal")
    line = next(line for line in server.errors().splitlines() if "L7S2021" in line)
    assert "KiB" in line and "raise L7ShieldMemory" in line
    assert server.get("/", address="127.0.5.9").status == 403
    assert server.get("/", address="127.0.6.1").status == 200
