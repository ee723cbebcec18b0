"""A small RTSP camera for tests: a moving ball as H.264, on loopback.

Run it with the system's Python, which knows GStreamer. It prints `port N` when it can be reached,
and serves rtsp://127.0.0.1:N/live until it is killed.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - versions come first

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! "
    "video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 threads=1 ! "
    "rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
ROLE = "viewer"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="0")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    if options.password:
        lock(server, factory, options.password)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        raise SystemExit("the port is taken")
    print("port", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def lock(server, factory, password):
    """Let in nobody but the user `owner`."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", ROLE)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("owner", password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(ROLE, "media.factory.access", True)
    permissions.add_permission_for_role(ROLE, "media.factory.construct", True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
