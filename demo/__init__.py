"""The main job without a cluster: the real webhook, driver and daemon, in one terminal."""
