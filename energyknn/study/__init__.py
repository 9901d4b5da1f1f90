"""The application: the notebook's study of Spotify tracks, its report and its commands.

The library never imports it.
"""
