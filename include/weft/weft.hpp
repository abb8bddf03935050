#pragma once

/// All of weft, except HTTP, the hooks and the test kit.

#include <weft/cancel_scope.hpp>
#include <weft/cancellation.hpp>
#include <weft/context_var.hpp>
#include <weft/dns.hpp>
#include <weft/endpoint.hpp>
#include <weft/error.hpp>
#include <weft/executor.hpp>
#include <weft/file.hpp>
#include <weft/gather.hpp>
#include <weft/loop.hpp>
#include <weft/loop_group.hpp>
#include <weft/pipe.hpp>
#include <weft/process.hpp>
#include <weft/run.hpp>
#include <weft/signal.hpp>
#include <weft/socket.hpp>
#include <weft/stop_token.hpp>
#include <weft/stream.hpp>
#include <weft/sync.hpp>
#include <weft/task.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>
#include <weft/tls.hpp>
