// <weft/gather.hpp>: gather(return_exceptions, …) and outcome.

#include <functional>
#include <stdexcept>

#include <weft/gather.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "gather(return_exceptions): gives outcomes and waits for all") {
    run([] {
        const auto late = [] {
            sleep(30ms);
            return 1;
        };
        const auto bad = [] {
            sleep(1ms);
            throw std::runtime_error("bad");
        };
        auto results = gather(return_exceptions, late, bad, [] { sleep(2ms); }, [] { throw cancelled("gone"); });
        STATIC_REQUIRE(std::is_same_v<std::tuple_element_t<0, decltype(results)>, outcome<int>>);
        auto& [value, failed, nothing, ended] = results;
        CHECK(value);
        CHECK(*value == 1);
        CHECK(value.value() == 1);
        CHECK(value.error() == nullptr);
        CHECK_FALSE(failed);
        CHECK_FALSE(failed.has_value());
        CHECK(reports::text(failed.error()) == "bad");
        CHECK(thrown_by<std::runtime_error>([&, &f = failed] { f.value(); }) == "bad");
        CHECK(nothing.has_value());
        CHECK(reports::text(ended.error()) == "cancelled: gone");
    });
}

TEST_CASE_METHOD(fixture, "gather(return_exceptions): of a range") {
    run([] {
        std::vector<std::function<int()>> calls{
            [] { return 1; }, []() -> int { throw std::runtime_error("two"); }, [] { return 3; }};
        auto outcomes = gather(return_exceptions, calls);
        REQUIRE(outcomes.size() == 3);
        CHECK(*outcomes[0] == 1);
        CHECK(reports::text(outcomes[1].error()) == "two");
        CHECK(*outcomes[2] == 3);
        std::vector<task<>> nothing{create_task([] {}), create_task([] { throw 1; })};
        auto of_nothing = gather(return_exceptions, nothing);
        CHECK(of_nothing[0].has_value());
        CHECK_FALSE(of_nothing[1].has_value());
    });
}

TEST_CASE_METHOD(fixture, "gather: of what gives references, and of what gives exception_ptrs") {
    run([] {
        int x = 1;
        auto [reference, failed] = gather(
            return_exceptions, [&]() -> int& { return x; }, []() -> int& { throw 1; });
        CHECK(&*reference == &x);
        CHECK(&reference.value() == &x);
        CHECK_FALSE(failed);
        const auto pointer = [] { return std::make_exception_ptr(std::runtime_error("a value")); };
        CHECK(reports::text(std::get<0>(gather(pointer))) == "a value");
        auto [kept] = gather(return_exceptions, pointer);
        CHECK(kept.has_value());
        CHECK(kept.error() == nullptr);
        CHECK(reports::text(*kept) == "a value");
    });
}

TEST_CASE_METHOD(fixture, "gather(return_exceptions): throws if itself cancelled") {
    run([] {
        auto a = create_task(park);
        auto gatherer = create_task([&] { gather(return_exceptions, a, park); });
        turns(2);
        gatherer.cancel("stop");
        gatherer.join();
        CHECK(reports::text(gatherer.exception()) == "cancelled: stop");
        CHECK(a.cancelled());
    });
}
