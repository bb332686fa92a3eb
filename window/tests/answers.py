"""Answers of a scripted session."""

NOTES = [
    "# New in 2.1",
    "",
    "Greeter now **greets by name**, in *eight* languages.",
    "",
    "- Starts twice as fast",
    "- Speaks `ja` and `zh`",
    "- Fixes the [clock after midnight](https://example.com/issues/7)",
    "",
    "## Thanks",
    "",
    "To all who sent reports.",
]

NOTES_AR = ["# ما الجديد في 2.1", "", "يرحّب Greeter الآن **بالاسم** وبـ*ثماني* لغات.", "", "- يبدأ أسرع مرتين",
            "- يصلح [الساعة بعد منتصف الليل](https://example.com/issues/7)"]
NOTES_JA = ["# 2.1 の新機能", "", "Greeter は**名前**で挨拶するようになりました。8 か国語に対応しています。", "",
            "- 起動が 2 倍速くなりました", "- [午前 0 時以降の時計](https://example.com/issues/7)を修正しました"]


def update(notes=NOTES, component="greeter", to="2.1.0", language="en"):
    return {
        "component": component, "from": "2.0.0", "to": to, "files": 3, "bytes": 1_081_454, "type": "partial",
        "critical": False, "stepping_stone_to": None,
        "notes": {"language": language, "href": None, "lines": notes}, "saved": [], "kept": [],
    }


def found(*updates):
    return ["check", [{"id": "ID", "result": {"updates": list(updates) or [update()], "deferred": []}}]]


def nothing():
    return ["check", [{"id": "ID", "result": {"updates": [], "deferred": []}}]]


def staged():
    return ["download", [{"id": "ID", "result": {"staged": [update()], "deferred": []}}]]


def progress():
    return ["download", [{"event": "progress", "id": "ID", "phase": "downloading", "bytes": 412_000,
                          "bytes_total": 1_081_454, "rate": 96_000, "seconds_left": 7, "path": "bin/greeter"}]]


def failed(method, code, exit, message):
    error = {"code": code, "exit": exit, "message": message, "retryable": True, "hint": None}
    return [method, [{"id": "ID", "error": error}]]


def rolled_back():
    past = {"component": "greeter", "from": "2.0.0", "to": "2.1.0", "result": "rolled-back", "error": None}
    return ["history", [{"id": "ID", "result": {"updates": [past]}}]]
