"""Tests of the way from PublishFirmware to Published."""
