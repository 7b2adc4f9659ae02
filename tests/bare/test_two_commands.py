"""The README's first command on a bare Debian 12, from a fresh clone."""

from __future__ import annotations

from bare.machine import bare_machine


def test_the_demo_works_where_nothing_was_installed():
    with bare_machine("demo") as machine:
        said = machine.run("cd /opt/veildesk && make demo", timeout=1500)
        assert said.rstrip().endswith("demo: ok"), said[-3000:]


def test_everything_the_tests_need_is_installed_by_the_project():
    with bare_machine("dev") as machine:
        machine.run("cd /opt/veildesk && scripts/install dev && scripts/check", timeout=1800)
