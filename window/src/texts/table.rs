//! The table of texts: each text in each language.
//!
//! A missing language is a compile error, because every row is an array of eight texts.

/// The number of languages.
pub const LANGUAGES: usize = 8;

/// The languages of the table, in the order of its columns.
pub const TAGS: [&str; LANGUAGES] = ["en", "de", "fr", "es", "pt", "ja", "zh", "ar"];

macro_rules! texts {
    ($($(#[$meta:meta])* $key:ident $name:literal: $($text:literal),+;)+) => {
        /// The name of a text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum TextKey {
            $($(#[$meta])* $key,)+
        }

        /// Each text with its name in files of texts, and its versions in the order of [`TAGS`].
        pub const TABLE: &[(TextKey, &str, [&str; LANGUAGES])] = &[$((TextKey::$key, $name, [$($text),+]),)+];
    };
}

texts! {
    /// The title of the window.
    Title "title": "Software update", "Softwareupdate", "Mise à jour", "Actualización de software",
        "Atualização de software", "ソフトウェアの更新", "软件更新", "تحديث البرنامج";
    /// The heading while the window looks for updates.
    Checking "checking": "Looking for updates…", "Es wird nach Updates gesucht …", "Recherche de mises à jour…",
        "Buscando actualizaciones…", "Procurando atualizações…", "更新を確認しています…", "正在检查更新…",
        "جارٍ البحث عن تحديثات…";
    /// The heading of an offer.
    Available "available": "{name} {version} is available", "{name} {version} ist verfügbar",
        "{name} {version} est disponible", "{name} {version} está disponible", "{name} {version} está disponível",
        "{name} {version} が利用できます", "{name} {version} 现已可用", "{name} {version} متاح";
    /// The installed version and the size of an offer.
    Offer "offer": "You have version {from}. The download has {size}.",
        "Installiert ist Version {from}. Der Download umfasst {size}.",
        "Vous avez la version {from}. Le téléchargement fait {size}.",
        "Tiene la versión {from}. La descarga ocupa {size}.", "Você tem a versão {from}. O download tem {size}.",
        "現在のバージョンは {from} です。ダウンロードサイズは {size} です。", "当前版本为 {from}。下载大小为 {size}。",
        "لديك الإصدار {from}. حجم التنزيل {size}.";
    /// The size of an offer without an installed version.
    OfferNew "offer-new": "The download has {size}.", "Der Download umfasst {size}.",
        "Le téléchargement fait {size}.", "La descarga ocupa {size}.", "O download tem {size}.",
        "ダウンロードサイズは {size} です。", "下载大小为 {size}。", "حجم التنزيل {size}.";
    /// The other components of an offer.
    Together "together": "Updated together: {others}", "Gemeinsam aktualisiert: {others}",
        "Mis à jour ensemble : {others}", "Se actualizan juntos: {others}", "Atualizados em conjunto: {others}",
        "同時に更新: {others}", "同时更新：{others}", "يُحدَّث معه: {others}";
    /// An offer that is a stepping stone.
    OnTheWay "on-the-way": "Version {last} follows after this one.", "Danach folgt Version {last}.",
        "La version {last} suivra.", "Después sigue la versión {last}.", "Depois segue a versão {last}.",
        "この後にバージョン {last} が続きます。", "之后将更新到版本 {last}。", "يتبعه الإصدار {last}.";
    /// An offer that is critical.
    Critical "critical": "This update is important. Install it soon.",
        "Dieses Update ist wichtig. Installieren Sie es bald.",
        "Cette mise à jour est importante. Installez-la rapidement.",
        "Esta actualización es importante. Instálela pronto.", "Esta atualização é importante. Instale-a em breve.",
        "この更新は重要です。早めにインストールしてください。", "此更新很重要，请尽快安装。",
        "هذا التحديث مهم. ثبّته قريبًا.";
    /// The name of the release notes.
    Notes "notes": "Release notes", "Versionshinweise", "Notes de version", "Notas de la versión",
        "Notas da versão", "リリースノート", "发行说明", "ملاحظات الإصدار";
    /// The name of the link to the whole release notes.
    NotesLink "notes-link": "Read all release notes", "Alle Versionshinweise lesen",
        "Lire toutes les notes de version", "Leer todas las notas de la versión", "Ler todas as notas da versão",
        "リリースノートの全文を読む", "阅读完整发行说明", "قراءة كل ملاحظات الإصدار";
    /// A button.
    Install "install": "Install and restart", "Installieren und neu starten", "Installer et redémarrer",
        "Instalar y reiniciar", "Instalar e reiniciar", "インストールして再起動", "安装并重启", "تثبيت وإعادة التشغيل";
    /// A button.
    Later "later": "Later", "Später", "Plus tard", "Más tarde", "Mais tarde", "後で", "稍后", "لاحقًا";
    /// A button.
    Skip "skip": "Skip this version", "Diese Version überspringen", "Ignorer cette version",
        "Omitir esta versión", "Ignorar esta versão", "このバージョンをスキップ", "跳过此版本", "تخطي هذا الإصدار";
    /// The heading of a download.
    Downloading "downloading": "Downloading {name} {version}…", "{name} {version} wird heruntergeladen …",
        "Téléchargement de {name} {version}…", "Descargando {name} {version}…", "Baixando {name} {version}…",
        "{name} {version} をダウンロードしています…", "正在下载 {name} {version}…", "جارٍ تنزيل {name} {version}…";
    /// The name of the progress bar.
    Progress "progress": "Progress of the download", "Fortschritt des Downloads", "Progression du téléchargement",
        "Progreso de la descarga", "Progresso do download", "ダウンロードの進行状況", "下载进度", "تقدّم التنزيل";
    /// The bytes of a download.
    DoneOf "done-of": "{done} of {total}", "{done} von {total}", "{done} sur {total}", "{done} de {total}",
        "{done} de {total}", "{done} / {total}", "{done} / {total}", "{done} من {total}";
    /// The rate of a download.
    Rate "rate": "{size} per second", "{size} pro Sekunde", "{size} par seconde", "{size} por segundo",
        "{size} por segundo", "{size}/秒", "每秒 {size}", "{size} في الثانية";
    /// The time that a download still needs.
    SecondsLeft "seconds-left": "{count} s left", "noch {count} s", "encore {count} s", "quedan {count} s",
        "restam {count} s", "残り {count} 秒", "还剩 {count} 秒", "بقي {count} ث";
    /// The time that a download still needs.
    MinutesLeft "minutes-left": "{count} min left", "noch {count} min", "encore {count} min", "quedan {count} min",
        "restam {count} min", "残り {count} 分", "还剩 {count} 分钟", "بقي {count} د";
    /// The time that a download still needs.
    HoursLeft "hours-left": "{count} h left", "noch {count} h", "encore {count} h", "quedan {count} h",
        "restam {count} h", "残り {count} 時間", "还剩 {count} 小时", "بقي {count} س";
    /// The line of a download before its first byte, and while files are unpacked.
    Preparing "preparing": "Preparing files…", "Dateien werden vorbereitet …", "Préparation des fichiers…",
        "Preparando los archivos…", "Preparando os arquivos…", "ファイルを準備しています…", "正在准备文件…",
        "جارٍ تحضير الملفات…";
    /// A button.
    Pause "pause": "Pause", "Pause", "Pause", "Pausar", "Pausar", "一時停止", "暂停", "إيقاف مؤقت";
    /// A button.
    Resume "resume": "Resume", "Fortsetzen", "Reprendre", "Reanudar", "Retomar", "再開", "继续", "استئناف";
    /// A button.
    Cancel "cancel": "Cancel", "Abbrechen", "Annuler", "Cancelar", "Cancelar", "キャンセル", "取消", "إلغاء";
    /// The heading of a paused download.
    Paused "paused": "The download is paused", "Der Download ist angehalten", "Le téléchargement est en pause",
        "La descarga está en pausa", "O download está em pausa", "ダウンロードを一時停止しています", "下载已暂停",
        "التنزيل متوقف مؤقتًا";
    /// The text of a paused download.
    PausedBody "paused-body": "It continues where it stopped.", "Er wird an derselben Stelle fortgesetzt.",
        "Il reprendra là où il s'est arrêté.", "Continuará donde se detuvo.", "Ele continuará de onde parou.",
        "中断したところから再開します。", "将从停止处继续。", "سيستمر من حيث توقف.";
    /// The heading of a complete download.
    Ready "ready": "{name} {version} is ready", "{name} {version} ist bereit", "{name} {version} est prêt",
        "{name} {version} está listo", "{name} {version} está pronto", "{name} {version} の準備ができました",
        "{name} {version} 已准备就绪", "{name} {version} جاهز";
    /// The text of a complete download.
    ReadyBody "ready-body": "{name} must restart to install the update. Save your work first.",
        "{name} muss für die Installation neu starten. Speichern Sie vorher Ihre Arbeit.",
        "{name} doit redémarrer pour installer la mise à jour. Enregistrez d'abord votre travail.",
        "{name} debe reiniciarse para instalar la actualización. Guarde antes su trabajo.",
        "{name} precisa reiniciar para instalar a atualização. Salve seu trabalho antes.",
        "更新のインストールには {name} の再起動が必要です。先に作業を保存してください。",
        "{name} 需要重启以安装更新。请先保存您的工作。",
        "يجب إعادة تشغيل {name} لتثبيت التحديث. احفظ عملك أولًا.";
    /// A button.
    RestartNow "restart-now": "Restart now", "Jetzt neu starten", "Redémarrer maintenant", "Reiniciar ahora",
        "Reiniciar agora", "今すぐ再起動", "立即重启", "إعادة التشغيل الآن";
    /// A button.
    AtExit "at-exit": "When I quit", "Beim Beenden", "À la fermeture", "Al salir", "Ao sair", "終了時", "退出时",
        "عند الخروج";
    /// The heading if no update is offered.
    UpToDate "up-to-date": "{name} is up to date", "{name} ist aktuell", "{name} est à jour",
        "{name} está actualizado", "{name} está atualizado", "{name} は最新です", "{name} 已是最新版本", "{name} محدَّث";
    /// The heading after a rollback.
    RolledBack "rolled-back": "{name} {version} did not work", "{name} {version} hat nicht funktioniert",
        "{name} {version} n'a pas fonctionné", "{name} {version} no funcionó", "{name} {version} não funcionou",
        "{name} {version} は動作しませんでした", "{name} {version} 无法正常运行", "لم يعمل {name} {version}";
    /// The text after a rollback.
    RolledBackBody "rolled-back-body":
        "Version {from} is installed again. The version that failed is not offered again.",
        "Version {from} ist wieder installiert. Die fehlerhafte Version wird nicht mehr angeboten.",
        "La version {from} est de nouveau installée. La version défaillante ne sera plus proposée.",
        "La versión {from} está instalada de nuevo. La versión que falló no se ofrecerá más.",
        "A versão {from} está instalada novamente. A versão que falhou não será mais oferecida.",
        "バージョン {from} に戻しました。失敗したバージョンは再び提示されません。",
        "已恢复到版本 {from}。失败的版本不会再次提供。",
        "أُعيد تثبيت الإصدار {from}. لن يُعرض الإصدار الفاشل مرة أخرى.";
    /// The place of the log.
    LogAt "log-at": "Log: {path}", "Protokoll: {path}", "Journal : {path}", "Registro: {path}", "Registro: {path}",
        "ログ: {path}", "日志：{path}", "السجل: {path}";
    /// A button.
    ShowLog "show-log": "Show the log", "Protokoll zeigen", "Afficher le journal", "Mostrar el registro",
        "Mostrar o registro", "ログを表示", "显示日志", "عرض السجل";
    /// A button.
    Close "close": "Close", "Schließen", "Fermer", "Cerrar", "Fechar", "閉じる", "关闭", "إغلاق";
    /// A button.
    Retry "retry": "Try again", "Erneut versuchen", "Réessayer", "Reintentar", "Tentar novamente", "再試行", "重试",
        "إعادة المحاولة";
    /// The heading of an error of the network.
    NetworkFault "network-fault": "The update server cannot be reached.",
        "Der Update-Server ist nicht erreichbar.", "Le serveur de mises à jour est injoignable.",
        "No se puede acceder al servidor de actualizaciones.",
        "Não é possível acessar o servidor de atualizações.", "更新サーバーに接続できません。", "无法连接更新服务器。",
        "يتعذر الوصول إلى خادم التحديثات.";
    /// Its advice.
    NetworkAdvice "network-advice": "Check the network, then try again. The download continues where it stopped.",
        "Prüfen Sie das Netzwerk und versuchen Sie es erneut. Der Download wird an derselben Stelle fortgesetzt.",
        "Vérifiez le réseau, puis réessayez. Le téléchargement reprendra là où il s'est arrêté.",
        "Compruebe la red y reinténtelo. La descarga continuará donde se detuvo.",
        "Verifique a rede e tente novamente. O download continuará de onde parou.",
        "ネットワークを確認して再試行してください。ダウンロードは中断したところから再開します。",
        "请检查网络后重试。下载将从停止处继续。", "تحقق من الشبكة ثم أعد المحاولة. سيستمر التنزيل من حيث توقف.";
    /// The heading of a refused update.
    RefusedFault "refused-fault": "The update is damaged or not genuine, and was refused.",
        "Das Update ist beschädigt oder nicht echt und wurde abgelehnt.",
        "La mise à jour est endommagée ou non authentique, et a été refusée.",
        "La actualización está dañada o no es auténtica y se ha rechazado.",
        "A atualização está danificada ou não é autêntica e foi recusada.",
        "更新が破損しているか正規のものではないため、拒否されました。", "更新已损坏或不可信，已被拒绝。",
        "التحديث تالف أو غير أصلي، وقد رُفض.";
    /// Its advice.
    RefusedAdvice "refused-advice": "Nothing was changed. Try again later, or tell the publisher.",
        "Es wurde nichts geändert. Versuchen Sie es später erneut, oder informieren Sie den Hersteller.",
        "Rien n'a été modifié. Réessayez plus tard ou prévenez l'éditeur.",
        "No se ha cambiado nada. Reinténtelo más tarde o avise al editor.",
        "Nada foi alterado. Tente mais tarde ou avise o fornecedor.",
        "何も変更されていません。後で再試行するか、発行元に連絡してください。", "未作任何更改。请稍后重试，或联系发布者。",
        "لم يتغير شيء. أعد المحاولة لاحقًا أو أخبر الناشر.";
    /// The heading of an error for want of space.
    SpaceFault "space-fault": "There is not enough space for the update.",
        "Für das Update ist nicht genug Speicherplatz frei.", "L'espace disque est insuffisant pour la mise à jour.",
        "No hay espacio suficiente para la actualización.", "Não há espaço suficiente para a atualização.",
        "更新に必要な空き容量がありません。", "磁盘空间不足，无法更新。", "لا توجد مساحة كافية للتحديث.";
    /// Its advice.
    SpaceAdvice "space-advice": "Free some space, then try again.",
        "Geben Sie Speicherplatz frei und versuchen Sie es erneut.", "Libérez de l'espace, puis réessayez.",
        "Libere espacio y reinténtelo.", "Libere espaço e tente novamente.", "空き容量を増やして再試行してください。",
        "请释放空间后重试。", "أفرغ بعض المساحة ثم أعد المحاولة.";
    /// The heading of an error of rights.
    RightsFault "rights-fault": "You may not change the files of {name}.",
        "Sie dürfen die Dateien von {name} nicht ändern.", "Vous ne pouvez pas modifier les fichiers de {name}.",
        "No tiene permiso para cambiar los archivos de {name}.",
        "Você não tem permissão para alterar os arquivos de {name}.",
        "{name} のファイルを変更する権限がありません。", "您无权更改 {name} 的文件。", "لا يمكنك تغيير ملفات {name}.";
    /// Its advice.
    RightsAdvice "rights-advice": "Ask the person who installed {name} to update it.",
        "Bitten Sie die Person, die {name} installiert hat, das Update auszuführen.",
        "Demandez à la personne qui a installé {name} de le mettre à jour.",
        "Pida a quien instaló {name} que lo actualice.", "Peça a quem instalou {name} que o atualize.",
        "{name} をインストールした人に更新を依頼してください。", "请让安装 {name} 的人进行更新。",
        "اطلب ممن ثبّت {name} أن يحدّثه.";
    /// The heading of an error of another updater.
    BusyFault "busy-fault": "Another update is in progress.", "Ein anderes Update läuft bereits.",
        "Une autre mise à jour est en cours.", "Hay otra actualización en curso.",
        "Outra atualização está em andamento.", "別の更新が進行中です。", "另一个更新正在进行。", "هناك تحديث آخر قيد التنفيذ.";
    /// Its advice.
    BusyAdvice "busy-advice": "Wait until it ends, then try again.",
        "Warten Sie, bis es beendet ist, und versuchen Sie es erneut.", "Attendez la fin, puis réessayez.",
        "Espere a que termine y reinténtelo.", "Aguarde o término e tente novamente.",
        "終了するまで待って再試行してください。", "请等待其结束后重试。", "انتظر حتى ينتهي ثم أعد المحاولة.";
    /// The heading of an error of this machine.
    MachineFault "machine-fault": "The update could not be prepared on this computer.",
        "Das Update konnte auf diesem Computer nicht vorbereitet werden.",
        "La mise à jour n'a pas pu être préparée sur cet ordinateur.",
        "No se pudo preparar la actualización en este equipo.",
        "Não foi possível preparar a atualização neste computador.",
        "このコンピューターで更新を準備できませんでした。", "无法在此计算机上准备更新。", "تعذر تحضير التحديث على هذا الحاسوب.";
    /// Its advice.
    MachineAdvice "machine-advice": "Try again. If it fails again, send the details to the publisher.",
        "Versuchen Sie es erneut. Schlägt es wieder fehl, senden Sie die Details an den Hersteller.",
        "Réessayez. En cas de nouvel échec, envoyez les détails à l'éditeur.",
        "Reinténtelo. Si vuelve a fallar, envíe los detalles al editor.",
        "Tente novamente. Se falhar de novo, envie os detalhes ao fornecedor.",
        "再試行してください。再び失敗する場合は、詳細を発行元に送ってください。",
        "请重试。如果再次失败，请将详细信息发送给发布者。", "أعد المحاولة. إذا فشلت مجددًا فأرسل التفاصيل إلى الناشر.";
    /// The heading of an error of the program that opened the window.
    CallFault "call-fault": "The update window was not started correctly.",
        "Das Update-Fenster wurde nicht richtig gestartet.", "La fenêtre de mise à jour a été mal lancée.",
        "La ventana de actualización no se inició correctamente.",
        "A janela de atualização não foi iniciada corretamente.", "更新ウィンドウが正しく起動されませんでした。",
        "更新窗口未正确启动。", "لم تبدأ نافذة التحديث بشكل صحيح.";
    /// Its advice.
    CallAdvice "call-advice": "Send the details to the publisher of {name}.",
        "Senden Sie die Details an den Hersteller von {name}.", "Envoyez les détails à l'éditeur de {name}.",
        "Envíe los detalles al editor de {name}.", "Envie os detalhes ao fornecedor de {name}.",
        "詳細を {name} の発行元に送ってください。", "请将详细信息发送给 {name} 的发布者。", "أرسل التفاصيل إلى ناشر {name}.";
    /// The details of an error.
    Details "details": "Details: {message}", "Details: {message}", "Détails : {message}", "Detalles: {message}",
        "Detalhes: {message}", "詳細: {message}", "详细信息：{message}", "التفاصيل: {message}";
    /// An amount of bytes.
    Bytes "bytes": "{count} bytes", "{count} Byte", "{count} octets", "{count} bytes", "{count} bytes",
        "{count} バイト", "{count} 字节", "{count} بايت";
    /// An amount of bytes.
    Kilobytes "kilobytes": "{count} kB", "{count} kB", "{count} ko", "{count} kB", "{count} kB", "{count} kB",
        "{count} kB", "{count} ك.ب";
    /// An amount of bytes.
    Megabytes "megabytes": "{count} MB", "{count} MB", "{count} Mo", "{count} MB", "{count} MB", "{count} MB",
        "{count} MB", "{count} م.ب";
    /// An amount of bytes.
    Gigabytes "gigabytes": "{count} GB", "{count} GB", "{count} Go", "{count} GB", "{count} GB", "{count} GB",
        "{count} GB", "{count} غ.ب";
    /// The sign between the integer and the fraction of a number.
    DecimalSign "decimal-sign": ".", ",", ",", ",", ",", ".", ".", "٫";
}
