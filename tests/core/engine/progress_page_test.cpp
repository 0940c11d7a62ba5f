#include "core/engine/progress_page.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace tenon::engine {
namespace {

TEST(ProgressPage, AnotherMappingSeesTheWords) {
    Result<ProgressPage> created = ProgressPage::create();
    ASSERT_TRUE(created.ok());
    EXPECT_EQ(created->words().steps.load(), 0u);
    EXPECT_EQ(created->words().is_busy.load(), 0u);
    Result<ProgressPage> opened = ProgressPage::open(dup(created->fd()));
    ASSERT_TRUE(opened.ok());
    opened->words().progress.store(7);
    opened->words().heartbeat.fetch_add(1);
    EXPECT_EQ(created->words().progress.load(), 7u);
    EXPECT_EQ(created->words().heartbeat.load(), 1u);
    ProgressPage moved = std::move(created).value();
    EXPECT_EQ(moved.words().progress.load(), 7u);
}

TEST(ProgressPage, AnotherProcessWritesIt) {
    Result<ProgressPage> page = ProgressPage::create();
    ASSERT_TRUE(page.ok());
    const pid_t child = fork();
    if (child == 0) {
        page->words().steps.store(42);
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(page->words().steps.load(), 42u);
}

TEST(ProgressPage, ADescriptorOfSomethingElseIsRefused) {
    EXPECT_FALSE(ProgressPage::open(-1).ok());
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_FALSE(ProgressPage::open(ends[0]).ok());
    close(ends[0]);
    close(ends[1]);
}

TEST(ProgressPage, CannotBeCutAwayFromItsReader) {
    Result<ProgressPage> page = ProgressPage::create();
    ASSERT_TRUE(page.ok());
    EXPECT_NE(ftruncate(page->fd(), 0), 0);
}

}  // namespace
}  // namespace tenon::engine
