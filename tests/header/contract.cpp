// Every name and signature that the public interface promises, used once. Nothing of it is run: that it compiles, from the
// umbrella header alone, is the test.

#include <weft/weft.hpp>

#include <array>
#include <iostream>
#include <map>
#include <mutex>
#include <shared_mutex>

using namespace std::chrono_literals;

namespace {

template <class T, class U> constexpr bool same = std::is_same_v<T, U>;

int plain(int a, std::string) {
    return a;
}

[[maybe_unused]] void use_errors() {
    static_assert(!std::is_base_of_v<std::exception, weft::cancelled> &&
                  std::is_nothrow_copy_constructible_v<weft::cancelled>);
    static_assert(std::is_base_of_v<std::logic_error, weft::no_running_loop> &&
                  std::is_base_of_v<std::logic_error, weft::no_running_task> &&
                  std::is_base_of_v<std::logic_error, weft::invalid_state>);
    static_assert(std::is_base_of_v<std::runtime_error, weft::timeout_error> &&
                  std::is_base_of_v<std::runtime_error, weft::queue_empty> &&
                  std::is_base_of_v<std::runtime_error, weft::queue_full> &&
                  std::is_base_of_v<std::runtime_error, weft::queue_shutdown> &&
                  std::is_base_of_v<std::runtime_error, weft::broken_barrier> &&
                  std::is_base_of_v<std::runtime_error, weft::broken_process_pool> &&
                  std::is_base_of_v<std::runtime_error, weft::remote_error> &&
                  std::is_base_of_v<std::runtime_error, weft::incomplete_read_error> &&
                  std::is_base_of_v<std::runtime_error, weft::limit_overrun_error> &&
                  std::is_base_of_v<std::runtime_error, weft::interrupted>);
    weft::cancelled c{};
    const std::string& m = c.message();
    (void)m;
    const std::error_category& d = weft::dns_category();
    (void)d;
    weft::dns_errc x = weft::dns_errc::not_found;
    x = weft::dns_errc::no_data;
    x = weft::dns_errc::timeout;
    (void)x;
}

[[maybe_unused]] void use_running() {
    weft::run({.debug = true}, [] {});
    int r = weft::run([](int a) { return a; }, 3);
    (void)r;
    weft::run_options o{weft::engine::automatic, 256 * 1024, false, 100ms, true};
    o.io_engine = weft::engine::epoll;
    o.io_engine = weft::engine::io_uring;
    weft::runner rr(o);
    rr.run([] { return 1; });
    weft::loop& l = rr.get_loop();
    rr.close();
    (void)l;
}

[[maybe_unused]] void use_tasks() {
    weft::task<int> t = weft::create_task([](int a) { return a; }, 1);
    weft::task<int> n =
        weft::create_task({.name = "n", .stack_size = 65536, .eager = true}, [] { return 1; });
    weft::task_handle h = t;
    bool b = h.done() || h.cancelled() || h.cancel() || h.cancel("m");
    int c = h.cancelling() + h.uncancel();
    std::exception_ptr ep = h.exception();
    h.join();
    weft::callback_id id = h.add_done_callback([](weft::task_handle) {});
    b = h.remove_done_callback(id);
    h.add_done_callback([] {});
    std::string s = h.name();
    h.set_name("x");
    std::uint64_t i = h.id();
    b = static_cast<bool>(h);
    b = h == t;
    b = h < t;
    std::hash<weft::task_handle>{}(h);
    static_assert(same<decltype(t.get()), int&> && same<decltype(std::move(t).get()), int> &&
                  same<decltype(t.result()), int&>);
    weft::task<> v = weft::create_task([] {});
    v.get();
    int z = 0;
    weft::task<int&> rf = weft::create_task([&]() -> int& { return z; });
    int& zz = rf.get();
    (void)zz;
    weft::task_handle cur = weft::current_task();
    std::vector<weft::task_handle> all = weft::all_tasks();
    weft::yield_now();
    weft::sleep(1ms);
    weft::sleep_until(std::chrono::system_clock::now());
    weft::sleep_until(std::chrono::steady_clock::now());
    (void)b;
    (void)c;
    (void)i;
}

[[maybe_unused]] void use_many() {
    auto [a, m, c] = weft::gather([] { return 1; }, [] {}, weft::create_task([] { return std::string(); }));
    static_assert(same<decltype(m), std::monostate> && same<decltype(c), std::string>);
    (void)a;
    std::vector<weft::task<int>> ts;
    std::vector<int> v = weft::gather(ts);
    weft::gather(std::vector<std::function<void()>>{});
    auto outs = weft::gather(weft::return_exceptions, ts);
    static_assert(same<decltype(outs), std::vector<weft::outcome<int>>>);
    auto o = weft::gather(weft::return_exceptions, [] { return 1; });
    auto& oo = std::get<0>(o);
    bool b = oo.has_value() || oo;
    int x = oo.value() + *oo;
    std::exception_ptr e = oo.error();
    (void)b;
    (void)x;
    auto w = weft::wait(ts);
    static_assert(same<decltype(w), weft::wait_result<weft::task<int>>>);
    w = weft::wait(ts, 1s);
    w = weft::wait(ts, 1s, weft::return_when::first_completed);
    w = weft::wait(ts, weft::return_when::first_exception);
    w = weft::wait({ts[0], ts[1]}, weft::return_when::all_completed);
    std::vector<weft::task_handle> hs;
    weft::wait_result<weft::task_handle> wh = weft::wait(hs);
    wh = weft::wait({hs[0]});
    for (weft::task<int> t : weft::as_completed(ts))
        t.get();
    for (weft::task<int> t : weft::as_completed({ts[0], ts[1]}, 1s))
        t.get();
    int s = weft::shield(ts[0]);
    int u = weft::uncancellable([] { return 1; });
    (void)s;
    (void)u;
    weft::gather();
}

[[maybe_unused]] void use_timeouts() {
    [[maybe_unused]] int a = weft::timeout(1s, [] { return 1; });
    weft::timeout(1s, [](weft::timeout_scope& s) {
        s.reschedule(std::chrono::steady_clock::time_point::max());
        (void)s.when();
        (void)s.expired();
    });
    a = weft::timeout_at(std::chrono::steady_clock::now() + 1s, [] { return 1; });
    a = weft::wait_for([] { return 1; }, 1s);
    a = weft::wait_for(weft::create_task([] { return 1; }), 1s);
    bool b = weft::move_on_after(1s, [] {});
    (void)b;
}

[[maybe_unused]] void use_groups() {
    [[maybe_unused]] int v = weft::with_task_group([](weft::task_group& g) {
        weft::task<int> t = g.create_task([](int a) { return a; }, 1);
        g.create_task({.name = "n"}, [] {});
        g.cancel();
        return 1;
    });
    (void)v;
    try {
    } catch (const weft::exception_group& e) {
        const std::vector<std::exception_ptr>& x = e.exceptions();
        bool b = e.contains<std::runtime_error>();
        (void)x;
        (void)b;
    }
}

[[maybe_unused]] void use_sync() {
    weft::mutex m;
    std::lock_guard a(m);
    std::unique_lock b(m, 1s);
    m.try_lock();
    (void)m.try_lock_for(1s);
    (void)m.try_lock_until(std::chrono::system_clock::now());
    weft::recursive_mutex rm;
    std::scoped_lock c(rm);
    (void)rm.try_lock_for(1s);
    weft::shared_mutex sm;
    std::shared_lock d(sm);
    (void)sm.try_lock_shared_for(1s);
    sm.unlock_shared();
    weft::condition_variable cv;
    cv.wait(b);
    cv.wait(b, [] { return true; });
    cv.wait_for(b, 1s);
    cv.wait_until(b, std::chrono::steady_clock::now(), [] { return true; });
    cv.notify_one();
    cv.notify_all();
    weft::event e;
    e.set();
    e.clear();
    (void)e.is_set();
    e.wait();
    bool t = e.wait_for(1s);
    weft::semaphore s(2);
    s.acquire();
    t = s.try_acquire();
    t = s.try_acquire_for(1s);
    t = s.try_acquire_until(std::chrono::steady_clock::now());
    s.release();
    s.release(2);
    (void)s.value();
    { std::scoped_lock l(s); }
    weft::bounded_semaphore bs(1);
    weft::barrier ba(2);
    auto idx = ba.wait();
    ba.abort();
    ba.reset();
    (void)ba.parties();
    (void)ba.n_waiting();
    (void)ba.broken();
    (void)idx;
    weft::latch la(1);
    la.count_down();
    t = la.try_wait();
    la.wait();
    la.arrive_and_wait();
    t = la.wait_for(1s);
    weft::queue<std::string> q(3);
    weft::lifo_queue<int> lq;
    weft::priority_queue<int> pq;
    weft::priority_queue<int, std::greater<int>> pg(2);
    std::string str;
    q.put(str);
    q.put(std::move(str));
    q.emplace(3, 'x');
    q.put_nowait("a");
    str = q.get();
    str = q.get_nowait();
    std::optional<std::string> os = q.try_get_for(1s);
    t = q.try_put_for(str, 1s);
    (void)q.size();
    (void)q.empty();
    (void)q.full();
    (void)q.maxsize();
    q.task_done();
    q.join();
    q.shutdown();
    q.shutdown(true);
    for (auto&& it : q)
        (void)it;
    weft::promise<int> p;
    weft::future<int> f = p.get_future();
    p.set_value(1);
    (void)f.done();
    (void)f.cancelled();
    (void)f.cancel();
    auto sh = f.share();
    int i = sh.get();
    (void)i;
    bool sv = p.set_value(2);
    (void)sv;
    (void)f.valid();
    weft::promise<void> pv;
    pv.set_value();
    weft::promise<int&> pr;
    pv.set_exception(std::make_exception_ptr(1));
    weft::context_var<int> v(1);
    int g = v.get();
    auto tok = v.set(2);
    v.reset(tok);
    (void)g;
    (void)t;
}
void stoppable(std::stop_token) {}

[[maybe_unused]] void use_executors(weft::loop& l) {
    [[maybe_unused]] int a = weft::to_thread([](int x) { return x; }, 1);
    weft::to_thread(weft::abandon, [] {});
    weft::to_thread(stoppable);
    weft::thread_pool_executor tp(2);
    weft::process_pool_executor pp(2);
    a = weft::run_in_executor(tp, [] { return 1; });
    a = weft::run_in_executor(pp, plain, 1, "x");
    std::future<int> f = tp.submit([] { return 1; });
    std::future<int> g = pp.submit(plain, 1, "x");
    tp.shutdown();
    pp.shutdown();
    weft::future<int> r = weft::run_threadsafe(
        l, [](int x) { return x; }, 1);
    r.cancel();
}

[[maybe_unused]] void use_loops(weft::loop& l) {
    weft::loop& r = weft::get_running_loop();
    weft::handle h = r.call_soon([](int) {}, 1);
    h = r.call_soon_threadsafe([] {});
    h.cancel();
    (void)h.cancelled();
    h = r.call_later(1s, [] {});
    h = r.call_at(r.time(), [] {});
    r.add_reader(0, [] {});
    bool b = r.remove_reader(0);
    r.add_writer(1, [] {});
    b = r.remove_writer(1);
    r.add_signal_handler(2, [] {});
    b = r.remove_signal_handler(2);
    r.run_forever();
    int i = r.run_until_complete([] { return 1; });
    r.stop();
    b = r.is_running() || r.is_closed();
    r.set_exception_handler([](weft::loop&, const weft::exception_context& c) {
        (void)c.message;
        (void)c.exception;
        (void)c.task;
    });
    r.set_default_executor(std::make_shared<weft::thread_pool_executor>(1));
    r.set_debug(true);
    b = r.get_debug();
    int fd = r.fd();
    b = r.run_once(1s);
    weft::loop_group g(2, {.debug = false});
    weft::task<int> t = g.spawn_on(
        g[0], [](int x) { return x; }, 1);
    (void)i;
    (void)fd;
    (void)b;
    (void)l;
}

[[maybe_unused]] void use_io() {
    weft::endpoint e = weft::endpoint::parse("[::1]:80");
    (void)e.host();
    (void)e.port();
    (void)e.family();
    (void)e.to_string();
    (void)(e == e);
    weft::socket s(AF_INET, SOCK_STREAM);
    weft::socket s2(3);
    s.connect(e);
    s.bind(e);
    s.listen(10);
    weft::socket a = s.accept();
    std::array<std::byte, 8> buf;
    std::size_t n = s.recv(buf);
    n = s.recv(buf, 0);
    n = s.send(buf);
    weft::endpoint from;
    auto [size, sender] = s.recv_from(buf);
    n = size;
    from = sender;
    n = s.send_to(buf, e);
    s.shutdown(SHUT_WR);
    s.close();
    (void)s.local_endpoint();
    (void)s.remote_endpoint();
    (void)s.native_handle();
    int fd = s.release();
    (void)fd;
    weft::wait_readable(0);
    weft::wait_writable(1);
    msghdr mh{};
    n = s.recv_msg(mh);
    n = s.send_msg(mh);
    weft::connect_options co{
        .tls = nullptr, .server_name = "", .happy_eyeballs_delay = 250ms, .local = {}, .limit = 65536};
    weft::stream st = weft::open_connection("h", 80, co);
    st = weft::open_unix_connection("/p");
    n = st.read_some(buf);
    std::string x = st.read();
    x = st.read(3);
    x = st.read_exactly(3);
    x = st.read_line();
    x = st.read_until("\r\n");
    bool b = st.at_eof();
    st.set_limit(3);
    st.write("x");
    st.write(std::span<const std::byte>(buf));
    std::string_view parts[] = {"a", "b"};
    st.writev(parts);
    st.write_eof();
    st.close();
    (void)st.local_endpoint();
    (void)st.remote_endpoint();
    weft::socket& gs = st.get_socket();
    (void)gs;
    (void)b;
    n = weft::stream::npos;
    weft::server_options so{
        .backlog = 1, .reuse_port = false, .max_connections = 0, .limit = 1, .tls = nullptr};
    weft::server sv = weft::start_server([](weft::stream) {}, "127.0.0.1", 0, so);
    sv = weft::start_unix_server([](weft::stream) {}, "/p");
    sv.serve_forever();
    sv.close();
    sv.wait_closed();
    sv.close_clients();
    std::vector<weft::endpoint> eps = sv.endpoints();
    auto [rd, wr] = weft::pipe();
    weft::stream in = weft::stdin_stream();
    weft::stream out = weft::stdout_stream();
    weft::file f = weft::file::open("/x", O_RDONLY);
    n = f.read(buf);
    f.write(buf);
    n = f.pread(buf, 0);
    f.pwrite(buf, 0);
    f.sync();
    (void)f.size();
    x = weft::read_file("/x");
    weft::write_file("/x", "data");
    weft::tls_context tc = weft::tls_context::client();
    weft::tls_context ts = weft::tls_context::server("cert", "key");
    st.start_tls(tc);
    st.start_tls(tc, "name");
    weft::signal_set ss{2, 15};
    int sig = ss.wait();
    (void)sig;
    weft::process_options po{.std_in = weft::stdio::pipe,
                             .std_out = weft::stdio::devnull,
                             .std_err = weft::stdio::to_stdout,
                             .env = std::map<std::string, std::string>{},
                             .cwd = "/",
                             .new_session = true,
                             .pass_fds = {3}};
    po.std_in = weft::stdio::inherit;
    weft::process p = weft::create_subprocess_exec({"a", "b"}, po);
    p = weft::create_subprocess_shell("x");
    pid_t pid = p.pid();
    std::optional<int> rc = p.return_code();
    int w = p.wait();
    p.send_signal(2);
    p.terminate();
    p.kill();
    weft::stream& i1 = p.std_in();
    weft::stream& i2 = p.std_out();
    weft::stream& i3 = p.std_err();
    auto [o1, o2] = p.communicate("in");
    (void)pid;
    (void)w;
    (void)i1;
    (void)i2;
    (void)i3;
    (void)n;
    (void)rc;
}

[[maybe_unused]] void use_dns() {
    std::vector<weft::address_info> v = weft::getaddrinfo("h");
    v = weft::getaddrinfo("h", "http", weft::address_hints{});
    (void)v[0].family;
    (void)v[0].socktype;
    (void)v[0].protocol;
    (void)v[0].address;
    (void)v[0].canonical_name;
    std::pair<std::string, std::string> p = weft::getnameinfo(weft::endpoint::parse("1.2.3.4:5"));
    p = weft::getnameinfo(weft::endpoint::parse("1.2.3.4:5"), 1);
    weft::resolver r(weft::resolver_options{
        .servers = {"127.0.0.1:5353"}, .timeout = 2s, .tries = 3, .rotate = false, .cache_size = 4096});
    v = r.resolve("h", "80", {});
    std::vector<weft::address_record> a = r.query_a("h");
    (void)a[0].address;
    (void)a[0].ttl;
    a = r.query_aaaa("h");
    r.query_mx("h");
    r.query_txt("h");
    r.query_srv("h");
    r.query_ns("h");
    r.query_cname("h");
    r.query_ptr("h");
    r.query_soa("h");
    (void)r.statistics();
}

[[maybe_unused]] void use_more() {
    weft::current_stop_token();
    std::stop_source ss;
    auto c = weft::cancel_on(ss.get_token());
    (void)c;
}

}  // namespace
