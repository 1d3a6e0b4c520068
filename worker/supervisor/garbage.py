"""When Python looks for garbage: seldom, and not at all among what a worker has loaded before it begins."""

import gc

YOUNG_OBJECTS = 50_000  # at Python's 700, and at 10,000, what fifty runs hold at once is looked through again and again


def spare() -> None:
    """Have what is loaded by now passed over from here on, and look at what comes later once there is more of it.

    Agno and a model's client are hundreds of thousands of objects that stay for ever. To look through them again and
    again took a tenth of a busy worker's processor time.
    """
    gc.collect()  # what is garbage now would stay, too
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
