#include "core/hub/s3.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

// The example of a GET with a range in the S3 API's documentation of Signature Version 4, with its
// published keys and signature.
TEST(S3, SignsAsThePublishedExample) {
    AwsKeys keys;
    keys.access_key = "AKIAIOSFODNN7EXAMPLE";
    keys.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    keys.region = "us-east-1";
    net::Headers range;
    range.add("Range", "bytes=0-9");
    const net::Headers headers =
        s3_sign("https://examplebucket.s3.amazonaws.com/test.txt", keys, 1369353600, range);
    EXPECT_EQ(*headers.find("x-amz-date"), "20130524T000000Z");
    EXPECT_EQ(*headers.find("Authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
              "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
              "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(S3, LeavesRequestsWithoutKeysAlone) {
    EXPECT_TRUE(s3_sign("https://b.example/k", {}, 0).all().empty());
}

TEST(S3, FindsTheObject) {
    AwsKeys keys;
    keys.region = "eu-west-1";
    EXPECT_EQ(*s3_url("s3://models/a b/x.gguf", keys),
              "https://models.s3.eu-west-1.amazonaws.com/a%20b/x.gguf");
    keys.endpoint = "http://127.0.0.1:9000";
    EXPECT_EQ(*s3_url("s3://models/x.gguf", keys), "http://127.0.0.1:9000/models/x.gguf");
    for (const char* bad : {"s3://", "s3://models", "s3://models/", "s3://a/b",
                            "s3://evil.example#/x", "s3://Mod/x", "https://x/y"}) {
        EXPECT_FALSE(s3_url(bad, keys).ok()) << bad;
    }
}

}  // namespace
}  // namespace tenon::hub
