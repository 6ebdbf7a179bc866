# SPDX-License-Identifier: MPL-2.0
"""The images of docker-compose.yml are made before the tests that need them, which then wait for nothing."""

import pytest

import topology as topologies


@pytest.fixture(scope="module")
def topology(tmp_path_factory):
    return topologies.Topology(tmp_path_factory.mktemp("topology"), profile="observe")


def test_the_images_are_made(topology):
    topology.build()
    for image in "riposte", "riposte-prometheus":
        assert topologies.run("docker", "images", "--quiet", image).strip()
