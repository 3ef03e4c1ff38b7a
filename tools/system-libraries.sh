#!/bin/sh
# Installs, through apt, the system libraries that Qt, OpenGL and the virtual screen need, as far as they are missing.
# Without root it prints the command to run and fails. Does nothing on other systems than Linux.
set -eu
[ "$(uname -s)" = Linux ] || exit 0

missing=""
need() { # need SONAME PACKAGE
    /sbin/ldconfig -p | grep -q "$1" || missing="$missing $2"
}
need libEGL.so.1 libegl1
need libGL.so.1 libgl1
need libOpenGL.so.0 libopengl0
need libGLX_mesa.so.0 libglx-mesa0
need libglib-2.0.so.0 libglib2.0-0
need libdbus-1.so.3 libdbus-1-3
need libfontconfig.so.1 libfontconfig1
need libxkbcommon-x11.so.0 libxkbcommon-x11-0
need libxcb-cursor.so.0 libxcb-cursor0
need libxcb-icccm.so.4 libxcb-icccm4
need libxcb-image.so.0 libxcb-image0
need libxcb-keysyms.so.1 libxcb-keysyms1
need libxcb-randr.so.0 libxcb-randr0
need libxcb-render-util.so.0 libxcb-render-util0
need libxcb-shape.so.0 libxcb-shape0
need libxcb-xkb.so.1 libxcb-xkb1
command -v xvfb-run >/dev/null || missing="$missing xvfb"
command -v xauth >/dev/null || missing="$missing xauth"
python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -d /usr/share/fonts/truetype/dejavu ] || missing="$missing fonts-dejavu-core"

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "These libraries are missing; install your distribution's packages for them:$missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "System libraries are missing. Run this, then try again:" >&2
    echo "    sudo apt-get update && sudo apt-get install --yes --no-install-recommends$missing" >&2
    exit 1
fi
apt-get update
# shellcheck disable=SC2086  # one word per package
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
