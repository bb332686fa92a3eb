"""Adds the helper, and the extension module, which Python code does not name."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("patcher", includes=["patcher-helper*"])
hiddenimports = ["json"]
