"""The cases of the Autobahn test suite in our own words: that suite (autobahntestsuite) needs Python 2."""
