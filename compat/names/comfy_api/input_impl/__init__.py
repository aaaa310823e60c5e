"""Videos, from files and from their parts."""

from comfy_api.input_impl.video_types import VideoFromComponents, VideoFromFile

__all__ = ["VideoFromComponents", "VideoFromFile"]
