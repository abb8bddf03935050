#pragma once

/// Everything to synchronize tasks, loops and plain threads with.

#include <weft/barrier.hpp>
#include <weft/condition_variable.hpp>
#include <weft/context_var.hpp>
#include <weft/event.hpp>
#include <weft/future.hpp>
#include <weft/latch.hpp>
#include <weft/mutex.hpp>
#include <weft/queue.hpp>
#include <weft/recursive_mutex.hpp>
#include <weft/semaphore.hpp>
#include <weft/shared_mutex.hpp>
