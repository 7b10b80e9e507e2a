"""From PublishFirmware to Published."""
