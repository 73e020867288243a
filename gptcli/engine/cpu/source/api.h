// Marks the functions that Python calls; binding/library.py declares them.
#pragma once
#define API extern "C" __attribute__((visibility("default")))
