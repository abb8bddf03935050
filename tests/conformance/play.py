"""play.py FOLDER TOPIC [NAME]: runs the Python half of a topic's scenarios, or of one of them.

Each begins with a line `=== NAME`. Those that need a newer Python are passed over.
"""

import gc
import importlib
import sys

from scenario import SCENARIOS, play

folder, topic = sys.argv[1:3]
sys.path.insert(0, folder)
importlib.import_module(topic)
for one in SCENARIOS.values():
    if one.since <= sys.version_info[:2] and sys.argv[3:] in ([], [one.name]):
        print("===", one.name, flush=True)
        play(one)
        gc.collect()
