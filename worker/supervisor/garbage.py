"""Settings of Python's garbage collector: it runs less often, and skips everything loaded at startup."""

import gc

YOUNG_OBJECTS = 50_000  # with Python's 700, or with 10,000, the objects of fifty runs are scanned over and over


def tune() -> None:
    """Exclude all objects that exist now from garbage collection, and collect new ones less often.

    Agno and a model's client consist of hundreds of thousands of permanent objects. Scanning them took a tenth of a
    busy worker's processor time.
    """
    gc.collect()  # existing garbage would become permanent, too
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
