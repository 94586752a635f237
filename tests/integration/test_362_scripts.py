# SPDX-License-Identifier: Apache-2.0
"""The shell scripts of conf/examples, and what the container of the Kubernetes Job runs."""
import json
import os

import pytest
import yaml

from daemon import Daemon, daemon, started  # noqa: F401
from examples import EXAMPLES, WEB, environment, revision, run, stored

CURL = EXAMPLES / "curl"
WEB_FILE = EXAMPLES / "web.json"


@pytest.fixture
def script(daemon):  # noqa: F811
    def call(name, *arguments, **more):
        return run([CURL / name, *map(str, arguments)], env=environment(daemon, **more))
    return call


def test_362_01_apply_set_dry_run_apply_and_again(daemon, script):
    dry = script("apply-set.sh", "--dry-run", "web", WEB_FILE)
    assert dry.returncode == 0, dry.stderr
    rows = [json.loads(line) for line in dry.stdout.splitlines()]
    assert ["create", "policy", "web-login", []] in rows and len(rows) == 5
    assert stored(daemon) is None

    done = script("apply-set.sh", "web", WEB_FILE, REASON="release 7")
    assert done.returncode == 0, done.stderr
    assert "created policies/web-login\n" in done.stdout
    assert "revision 1 is in force on 0 nodes\n" in done.stdout
    assert stored(daemon) == {"name": "web", **WEB}
    assert daemon.call("GET", "/v1/revisions/1").json["reason"] == "release 7"

    again = script("apply-set.sh", "web", WEB_FILE)
    assert again.returncode == 0 and "created" not in again.stdout and revision(daemon) == 1


def test_362_02_apply_set_says_every_error_and_waits_for_nodes(daemon, script, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"policies": [{"name": "x", "mod": "off"}]}))
    done = script("apply-set.sh", "web", broken)
    assert done.returncode != 0 and "/policies/0/mod" in done.stderr
    script("apply-set.sh", "web", WEB_FILE)
    broken.write_text("{}")
    done = script("apply-set.sh", "web", broken, MAX_DELETES="2")
    assert done.returncode != 0 and "too_many_deletes" in done.stderr
    assert stored(daemon) == {"name": "web", **WEB}
    assert script("apply-set.sh").returncode == 2
    token = tmp_path / "token"
    token.write_text(daemon.token_of("viewer"))
    done = script("apply-set.sh", "web", WEB_FILE, SHIELD_TOKEN_FILE=str(token))
    assert done.returncode != 0 and '"forbidden"' in done.stderr


def test_362_03_ban_lift_and_let_go(daemon, script):
    done = script("ban.sh", "203.0.113.7", 600, "floods the search")
    assert done.returncode == 0 and done.stdout.startswith("banned until 2"), done
    ban = daemon.call("GET", "/v1/bans/ip:203.0.113.7").json
    assert (ban["reason"], ban["seconds"]) == ("floods the search", 600)
    assert script("ban.sh", "--lift", "203.0.113.7").returncode == 0
    assert daemon.call("GET", "/v1/bans/ip:203.0.113.7").status == 404
    done = script("ban.sh", "--lift", "203.0.113.7")
    assert done.returncode != 0 and '"not_found"' in done.stderr

    script("apply-set.sh", "web", WEB_FILE)
    done = script("let-go.sh", "web-login", 30, "a partner")
    assert done.returncode == 0 and "web-login observes until" in done.stdout, done
    override = daemon.call("GET", "/v1/policies/web-login").json["status"]["override"]
    assert (override["mode"], override["reason"], override["state"]) == \
        ("observe", "a partner", "running")
    assert "overridden policies/web-login" in script("apply-set.sh", "web", WEB_FILE).stdout


def test_362_04_over_the_unix_socket_without_a_token():
    for running in started(Daemon(unix_socket=True)):
        done = run([CURL / "apply-set.sh", "web", WEB_FILE],
                   env=environment(running, SHIELD_SOCKET=str(running.socket_path),
                                   SHIELD_TOKEN_FILE="/nonexistent"))
        assert done.returncode == 0, done.stderr
        assert stored(running) == {"name": "web", **WEB}


# ------------------------------------------------------------------ the Job

class Job:
    """Its container's command, with the volumes as folders."""

    def __init__(self, folder):
        documents = list(yaml.safe_load_all(
            (EXAMPLES / "kubernetes" / "job.yaml").read_text()))
        self.config_map, job = documents
        assert [one["kind"] for one in documents] == ["ConfigMap", "Job"]
        pod = job["spec"]["template"]["spec"]
        self.container, self.volumes = pod["containers"][0], pod["volumes"]
        self.folder = folder

    def files(self, volume, token):
        """What Kubernetes puts into this volume."""
        if "configMap" in volume:
            assert volume["configMap"]["name"] == self.config_map["metadata"]["name"]
            return self.config_map["data"]
        return {"token": token}

    def mount(self, token):
        """{mount path: folder}"""
        out = {}
        for volume in self.volumes:
            place = self.folder / volume["name"]
            place.mkdir(exist_ok=True)
            for name, text in self.files(volume, token).items():
                (place / name).write_text(text)
            mount, = [one["mountPath"] for one in self.container["volumeMounts"]
                      if one["name"] == volume["name"]]
            out[mount] = place
        return out

    def run(self, token, **more):
        mounts = self.mount(token)
        own = {"PATH": os.environ["PATH"], "HOSTNAME": "job-1"}
        for variable in self.container["env"]:
            value = variable["value"]
            for mount, place in mounts.items():
                value = str(place) + value[len(mount):] if value.startswith(mount + "/") else value
            own[variable["name"]] = value
        return run(self.container["command"], env={**own, **more})


def test_362_10_job_applies_the_set_or_fails_with_every_error(daemon, tmp_path):
    job = Job(tmp_path)
    answer = daemon.call("PUT", "/v1/tokens/job", {"role": "editor", "sets": ["shop"]})
    own = {"token": answer.json["token"], "SHIELD": f"http://127.0.0.1:{daemon.port}"}
    done = job.run(**own, MIN_NODES="0")
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"created":["policies/shop-checkout"]' in done.stdout
    assert '"complete":true' in done.stdout
    sent = json.loads(job.config_map["data"]["shop.json"])
    assert stored(daemon, "shop") == {"name": "shop", **sent}
    assert daemon.call("GET", "/v1/revisions/1").json["reason"] == "job job-1"
    assert job.run(**own, MIN_NODES="0").returncode == 0 and revision(daemon) == 1
    job.config_map["data"]["shop.json"] = '{"policies": [{"name": "x", "mod": "off"}]}'
    done = job.run(**own, MIN_NODES="0")
    assert done.returncode != 0 and "/policies/0/mod" in done.stdout
