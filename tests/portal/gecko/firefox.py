"""Firefox ESR over Marionette, with preferences like those of Tor Browser at "Safest", or stock ones."""

from __future__ import annotations

import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

with warnings.catch_warnings():  # a dependency of the driver uses an old name of another one
    warnings.simplefilter("ignore", DeprecationWarning)
    from marionette_driver import By
    from marionette_driver.errors import MarionetteException
    from marionette_driver.keys import Keys
    from marionette_driver.marionette import Marionette

__all__ = ["SAFEST", "STOCK", "By", "Keys", "Marionette", "MarionetteException", "firefox"]

QUIET: Mapping[str, object] = {
    "marionette.port": 0,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "captivedetect.canonicalURL": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "dom.security.https_first": False,
    "network.dns.blockDotOnion": False,
    "network.dns.forceResolve": "127.0.0.1",
}

SAFEST: Mapping[str, object] = {
    "javascript.enabled": False,
    "svg.disabled": True,
    "mathml.disabled": True,
    "gfx.downloadable_fonts.enabled": False,
    "privacy.resistFingerprinting": True,
    "privacy.resistFingerprinting.letterboxing": True,
    "browser.privatebrowsing.autostart": True,
    "dom.securecontext.allowlist_onions": True,
    "security.mixed_content.upgrade_display_content": False,
    "media.webm.enabled": False,
    "media.autoplay.default": 5,
    "webgl.disabled": True,
    "gfx.font_rendering.opentype_svg.enabled": False,
    "gfx.font_rendering.graphite.enabled": False,
    "browser.display.use_document_fonts": 0,
    "privacy.firstparty.isolate": True,
    "browser.cache.disk.enable": False,
    "browser.formfill.enable": False,
    "dom.security.https_only_mode": False,
}

STOCK: Mapping[str, object] = {}


def _preference(name: str, value: object) -> str:
    shown = (
        str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
    )
    return f'user_pref("{name}", {shown});\n'


def _port(profile: Path, process: subprocess.Popen[bytes], seconds: float) -> int:
    """The port Firefox chose; it tells by a file, so the file is looked at until it is there."""
    file = profile / "MarionetteActivePort"
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and file.read_text().strip():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError("Firefox did not start")


@contextmanager
def firefox(profile: Path, preferences: Mapping[str, object]) -> Iterator[Marionette]:
    """A headless Firefox on its own profile, ended with the block."""
    profile.mkdir()
    lines = [_preference(name, value) for name, value in {**QUIET, **preferences}.items()]
    (profile / "user.js").write_text("".join(lines))
    process = subprocess.Popen(
        ["firefox-esr", "--marionette", "--headless", "--no-remote", "--profile", str(profile)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": str(profile), "MOZ_HEADLESS": "1"},
    )
    client = None
    try:
        client = Marionette(port=_port(profile, process, 120), socket_timeout=180)
        client.start_session()
        client.timeout.implicit = 60
        yield client
    finally:
        if client is not None and client.client is not None:
            client.client.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
