# SPDX-License-Identifier: Apache-2.0
"""/v1/backup: what it gives is a backup, taken while the daemon goes on writing."""
import contextlib
import os
import sqlite3
import subprocess
import threading

import pytest

from daemon import POLICY, Daemon
from daemon import daemon  # noqa: F401 (a fixture)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture
def keeping(folder):
    """A daemon that has a folder for backups."""
    made = Daemon()
    made.options = ["--backup-folder", str(folder)]
    made.start()
    yield made
    made.close()


def restored(made, file, data):
    """The policies of a data directory that begins with this backup."""
    done = subprocess.run(
        [made.command()[0], "restore", str(file), "--data-dir", str(data),
         *made.key_options(), "--memcached", "127.0.0.1:9"],
        capture_output=True, text=True, timeout=30, check=False)
    assert "restored" in done.stdout, done
    with contextlib.closing(sqlite3.connect(data / "config.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name for name, in database.execute(
            "SELECT name FROM object WHERE kind = 'policy'")}


def test_337_01_backup_is_sent_while_writes_go_on(daemon, tmp_path):  # noqa: F811
    assert daemon.call("PUT", "/v1/policies/kept", POLICY).status == 201
    ended = threading.Event()
    failed = []

    def write():
        number = 0
        while not ended.is_set():
            answer = daemon.call("PUT", "/v1/policies/busy",
                                 {**POLICY, "description": str(number)})
            failed.extend([answer] if answer.status not in (200, 201) else [])
            number += 1
    writer = threading.Thread(target=write)
    writer.start()
    try:
        sent = [daemon.call("GET", "/v1/backup") for _ in range(5)]
    finally:
        ended.set()
        writer.join()
    assert not failed
    for number, answer in enumerate(sent):
        assert answer.status == 200 and answer.body.startswith(b"L7SHIELD-BACKUP 1\n")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert int(answer.headers["content-length"]) == len(answer.body)
        file = tmp_path / f"{number}.backup"
        file.write_bytes(answer.body)
        assert restored(daemon, file, tmp_path / str(number)) >= {"kept"}
    left = [name for name in os.listdir(daemon.data_dir) if "backup" in name]
    assert not left, "copies are gone when it has been sent"


def test_337_02_backup_goes_into_the_configured_folder(keeping, folder):
    assert keeping.call("POST", "/v1/backup?dry_run=true").json["bytes"] is None
    assert not list(folder.iterdir())
    first = keeping.call("POST", "/v1/backup", shield_reason="before the sale")
    assert first.status == 201
    file = folder / first.json["file"]
    assert file.stat().st_size == first.json["bytes"] > 0
    assert file.stat().st_mode & 0o77 == 0
    second = keeping.call("POST", "/v1/backup").json["file"]
    assert sorted([second, first.json["file"]]) == [first.json["file"], second]
    assert sorted(path.name for path in folder.iterdir()) == [first.json["file"], second]
    rows = keeping.call("GET", "/v1/audit?path=/v1/backup").json["items"]
    assert any(row["reason"] == "before the sale" for row in rows), rows


def test_337_03_only_admins_and_only_where_there_is_a_folder(daemon):  # noqa: F811
    for role in ("viewer", "operator", "editor"):
        token = daemon.token_of(role)
        assert daemon.call("GET", "/v1/backup", token=token).status == 403
        assert daemon.call("POST", "/v1/backup", token=token).status == 403
    assert daemon.call("POST", "/v1/backup").code == "no_backup_folder"


def test_337_04_folder_that_is_gone_is_said(keeping, folder):
    keeping.expect("L7S3300")
    folder.rmdir()
    assert keeping.call("POST", "/v1/backup").status == 503
    assert keeping.call("GET", "/v1/backup").status == 200
