// Threads: for parts that do not wait for each other, and for a loop whose members meet at barriers.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace openfm {

using SteadyClock = std::chrono::steady_clock;

// Runs part(0), ..., part(parts - 1) on up to `threads` threads, this one among them. Fewer do it all where the system
// does not give so many.
template <class Part>
void run_parts(int64_t parts, int threads, const Part& part) {
    std::atomic<int64_t> next{0};
    const auto work = [&] {
        for (int64_t i = next++; i < parts; i = next++) part(i);
    };
    std::vector<std::thread> helpers;
    try {
        for (int i = 1; i < threads && i < parts; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
        // The threads that did start take all parts.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
}

// Where the members of a team wait for each other. A member spins, as the others are there within microseconds (see
// SharedWork) and to wake it from sleep takes longer; and sleeps if they are not: on a shared machine a spinning waiter
// takes the processor from the one it waits for.
class Barrier {
public:
    explicit Barrier(int members) : members_(members) {}

    void wait() {
        if (members_ == 1) return;
        const unsigned generation = generation_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
            arrived_.store(0, std::memory_order_relaxed);
            {
                std::lock_guard<std::mutex> lock(mutex_);
                generation_.store(generation + 1, std::memory_order_release);
            }
            changed_.notify_all();
            return;
        }
        for (int spin = 0; spin < kSpins; ++spin) {
            if (generation_.load(std::memory_order_acquire) != generation) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        sleep_until_changed(generation);
    }

    // The longest sleep of any member since this was asked last.
    SteadyClock::duration take_longest_sleep() { return SteadyClock::duration(longest_sleep_.exchange(0)); }

private:
    static constexpr int kSpins = 1500;  // about 50 us

    void sleep_until_changed(unsigned generation) {
        const SteadyClock::time_point start = SteadyClock::now();
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != generation; });
        const auto slept = (SteadyClock::now() - start).count();
        if (slept > longest_sleep_.load()) longest_sleep_.store(slept);  // under the lock
    }

    const int members_;
    std::atomic<int> arrived_{0};
    std::atomic<unsigned> generation_{0};
    std::atomic<SteadyClock::rep> longest_sleep_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
};

// How many members a team had better have now. One that has lost its processor to another process holds all others up,
// for longer than they win by its being there, and it will happen again: the team then goes on with one fewer for a
// while, which doubles each time that the larger team fails again.
class TeamPace {
public:
    // `all` is the number of those that there are.
    int members(int all) {
        if (missing_ > 0 && SteadyClock::now() >= until_) {
            --missing_;
            until_ = SteadyClock::now() + pause_;
        }
        return std::max(1, all - missing_);
    }

    // Takes in a batch of so many members that began at `start`, and the longest sleep at its barriers.
    void add(int members, SteadyClock::time_point start, SteadyClock::duration longest_sleep) {
        if (members == 1) return;
        const SteadyClock::time_point now = SteadyClock::now();
        if (longest_sleep > kLongSleep && longest_sleep * 2 > now - start) {
            ++missing_;
            until_ = now + pause_;
            pause_ = std::min(pause_ * 2, kLongestPause);
            undisturbed_ = SteadyClock::duration{};
        } else if (missing_ == 0) {
            undisturbed_ += now - start;
            if (undisturbed_ > pause_) pause_ = kShortestPause;
        }
    }

private:
    static constexpr SteadyClock::duration kLongSleep = std::chrono::microseconds(300);
    static constexpr SteadyClock::duration kShortestPause = std::chrono::milliseconds(30);
    static constexpr SteadyClock::duration kLongestPause = std::chrono::milliseconds(500);
    int missing_ = 0;
    SteadyClock::time_point until_{};  // one more is tried then
    SteadyClock::duration pause_ = kShortestPause, undisturbed_{};
};

// A piece of work [begin, end).
struct Share {
    int64_t begin, end;
};

// Work that is cut into a share for each member of a team. Who is done with his own takes from what the others have left:
// shares are guesses of equal work, and a member may lose its processor. What comes out is the same whoever does it.
class SharedWork {
public:
    explicit SharedWork(int members) : taken_(static_cast<size_t>(members)) {}

    // Makes the member's share whole again; no member may be in run().
    void reset(int member) { taken_[static_cast<size_t>(member)].count.store(0, std::memory_order_relaxed); }

    // work(share), `piece` items at a time, until all shares are taken; share_of(m) is that of member m.
    template <class ShareOf, class Work>
    void run(int member, int64_t piece, const ShareOf& share_of, const Work& work) {
        const int members = static_cast<int>(taken_.size());
        if (members == 1) return work(share_of(0));
        for (int i = 0; i < members; ++i) {
            const int owner = (member + i) % members;
            const Share share = share_of(owner);
            std::atomic<int64_t>& taken = taken_[static_cast<size_t>(owner)].count;
            while (share.begin + taken.load(std::memory_order_relaxed) < share.end) {
                const int64_t begin = share.begin + taken.fetch_add(piece, std::memory_order_relaxed);
                if (begin < share.end) work(Share{begin, std::min(begin + piece, share.end)});
            }
        }
    }

private:
    struct alignas(64) Taken {  // a cache line of its own
        std::atomic<int64_t> count{0};
    };
    std::vector<Taken> taken_;
};

// Threads that start with the first work given to them, so that a process may fork before, and end with the team.
class ThreadTeam {
public:
    explicit ThreadTeam(int size) : size_(size) {}
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    ~ThreadTeam() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        work_there_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

    int size() const { return size_; }

    // Starts the threads; the team becomes smaller where the system does not give so many.
    void start() {
        try {
            while (static_cast<int>(threads_.size()) + 1 < size_) {
                const int id = static_cast<int>(threads_.size()) + 1;
                threads_.emplace_back([this, id] { serve(id); });
            }
        } catch (const std::system_error&) {
            size_ = static_cast<int>(threads_.size()) + 1;
        }
    }

    // Runs work(0), ..., work(members - 1) at the same time, the first on the calling thread; returns when all are done.
    // The team must have been started if there are more members than one.
    void run(int members, const std::function<void(int)>& work) {
        if (members == 1) return work(0);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work;
            members_ = members;
            busy_ = members - 1;
            ++round_;
        }
        work_there_.notify_all();
        work(0);
        std::unique_lock<std::mutex> lock(mutex_);
        work_done_.wait(lock, [this] { return busy_ == 0; });
    }

private:
    void serve(int id) {
        for (unsigned seen = 0;;) {
            const std::function<void(int)>* work;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                work_there_.wait(lock, [&] { return stopping_ || round_ != seen; });
                if (stopping_) return;
                seen = round_;
                if (id >= members_) continue;
                work = work_;
            }
            (*work)(id);
            std::lock_guard<std::mutex> lock(mutex_);
            if (--busy_ == 0) work_done_.notify_one();
        }
    }

    int size_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable work_there_, work_done_;
    const std::function<void(int)>* work_ = nullptr;
    int members_ = 0, busy_ = 0;  // of the round
    unsigned round_ = 0;
    bool stopping_ = false;
};

}  // namespace openfm
