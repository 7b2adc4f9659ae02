# The two commands of the README are `make demo` and `make test`; both install what is missing.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)
KEEP ?=
ONLY ?=

.PHONY: demo test test-backends test-bare test-keyboard check run bench chaos fuzz fix lock clean

demo:
	@scripts/install demo
	@$(ROOT) env KEEP=$(KEEP) .venv/bin/python -I deploy/demo/run.py

test:
	@scripts/install dev
	@$(ROOT) scripts/test

test-backends:
	@scripts/install dev
	@scripts/install-helpdesks rt znuny redmine django-helpdesk
	@$(ROOT) env VEILDESK_TEST_BACKENDS=1 .venv/bin/python -m pytest -n 0 tests/contract/test_backend.py tests/live/test_request_tracker.py tests/live/test_killed_at_request_tracker.py tests/live/test_znuny.py tests/live/test_mailbox_helpdesk.py tests/live/test_django_helpdesk.py tests/contract/test_webhook_receiver.py tests/backends

# On a bare Debian 12 made by debootstrap: the demo from a fresh clone, and deploy/README.md word by word.
test-bare:
	@scripts/install dev
	@$(ROOT) apt-get install -y -q --no-install-recommends debootstrap systemd-container >/dev/null
	@$(ROOT) env VEILDESK_TEST_BARE=1 .venv/bin/python -m pytest -n 0 --timeout 3600 tests/bare

# The whole portal by keyboard alone, in Firefox as Tor Browser's safest setting has it.
test-keyboard:
	@scripts/install dev
	@$(ROOT) env VEILDESK_TEST_KEYBOARD=1 .venv/bin/python -m pytest -n 0 tests/portal/gecko/test_keyboard.py

check:
	@scripts/install dev
	@scripts/check

run:
	@scripts/install run
	@test -e var/gateway/veildesk.toml || .venv/bin/veildesk init --dir var/gateway
	@.venv/bin/veildesk run --config var/gateway/veildesk.toml

bench:
	@scripts/install dev
	@.venv/bin/python -I deploy/bench/run.py $(ONLY)

chaos:
	@scripts/install dev
	@$(ROOT) .venv/bin/python tests/chaos/run.py --tor $(or $(CHAOS),--stop 8)
	@$(ROOT) .venv/bin/python tests/chaos/run.py --engine bucket --no-points --no-postfix --kills 60
	@$(ROOT) .venv/bin/python tests/chaos/power_cut.py
	@$(ROOT) .venv/bin/python tests/chaos/real_helpdesk.py
	@$(ROOT) .venv/bin/python tests/chaos/leaks.py

fuzz:
	@scripts/install dev
	@.venv/bin/python tests/fuzz/fuzz_mail.py --seconds $(or $(SECONDS),60)
	@.venv/bin/python tests/fuzz/fuzz_openpgp.py --seconds $(or $(SECONDS),60)
	@.venv/bin/python tests/fuzz/fuzz_link.py --seconds $(or $(SECONDS),60)

fix:
	@scripts/fix

lock:
	@scripts/lock

clean:
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
