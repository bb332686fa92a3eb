//! Every rule of format 1, broken one at a time.

use super::read::resolve;
use super::*;
use crate::error::{Defect, Refused};
use crate::values::rel_path::PathDefect;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<manifest format="1">
  <meta component="core" version="3.1.0" sequence="42" channel="stable" platform="x86_64-linux" issued="2026-11-21T00:00:00Z" expires="2027-05-20T00:00:00Z" launch="bin/app" rollout="10" critical="true">
    <appearance title="„Editor“ &amp; more" publisher="Example Ltd" icon="etc/settings"/>
    <baseurl href="https://dl.example.com/core/"/>
    <baseurl href="http://mirror.example.com:8080/a%20b/core/"/>
    <requires component="runtime" version="&gt;=1.2"/>
    <stepping-stone below="1.0.0" sequence="7" body="00112233445566778899aabbccddeeff00112233445566778899aabbccddee09"/>
    <stepping-stone below="2.0.0-rc.1" sequence="41" body="00112233445566778899aabbccddeeff00112233445566778899aabbccddee0a"/>
    <update from="41" content="00112233445566778899aabbccddeeff00112233445566778899aabbccddee02" size="1081454" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee03" table="9120" table-sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee04"/>
    <update from="40" content="00112233445566778899aabbccddeeff00112233445566778899aabbccddee05" size="2000000" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee06" table="9000" table-sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee0b" rest="700"/>
    <install size="4200000" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee0b" table="120" table-sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee0c"/>
    <notes lang="en" href="https://example.com/news/3.1.html">
      <line text="Faster &amp; smaller."/>
      <line text=""/>
      <line text="  - „starts“ at once"/>
    </notes>
    <notes lang="pt-BR" href="https://example.com/news/"/>
    <notes lang="zh-Hant">
      <line text="更快"/>
    </notes>
  </meta>
  <files>
    <file path="bin/app" size="11694592" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" executable="true">
      <gz size="4747427" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee01"/>
      <chunks size="11660" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee07"/>
    </file>
    <file path="etc/settings" size="0" sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" preserve="true">
      <gz size="20" sha256="00112233445566778899aabbccddeeff00112233445566778899aabbccddee08"/>
    </file>
    <link path="lib/app" target="../bin/app"/>
  </files>
</manifest>
"#;

fn defect(result: Result<impl std::fmt::Debug, Refused>) -> Option<Defect> {
    match result {
        Ok(_) => None,
        Err(Refused::Manifest { defect, .. }) => Some(defect),
        Err(other) => panic!("{other}"),
    }
}

/// Returns the defect of the good manifest with `from` replaced by `to` once.
fn changed(from: &str, to: &str) -> Option<Defect> {
    assert!(GOOD.contains(from), "{from}");
    defect(parse(GOOD.replacen(from, to, 1).as_bytes()))
}

#[test]
fn the_canonical_form_survives_reading_and_writing() {
    let manifest = parse(GOOD.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(body(&manifest)).unwrap(), GOOD);
    assert_eq!(manifest.meta.base_urls.len(), 2);
    assert_eq!((manifest.meta.updates.len(), manifest.meta.updates[1].rest), (2, 700));
    assert_eq!(manifest.meta.install.map(|install| (install.object.size, install.table.size)), Some((4_200_000, 120)));
    assert_eq!((manifest.meta.rollout, manifest.meta.critical), (Some(10), true));
    assert_eq!((manifest.meta.stepping_stones.len(), manifest.meta.notes.len()), (2, 3));
    assert!(manifest.files[0].executable && manifest.files[1].preserve);
}

#[test]
fn other_spellings_of_the_same_are_the_same() {
    let manifest = parse(GOOD.as_bytes()).unwrap();
    for (from, to) in [
        ("<manifest format=\"1\">", "<manifest\n  format = '1' >"),
        (
            "size=\"20\" sha256=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee08\"/>",
            "sha256=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee08\" size='20'></gz>",
        ),
        (" preserve=\"true\"", " executable=\"false\" preserve=\"true\""),
        ("  </files>\n", "\t\n </files>\n"),
        (
            "<notes lang=\"pt-BR\" href=\"https://example.com/news/\"/>",
            "<notes href='https://example.com/news/' lang='pt-BR'></notes>",
        ),
        (" critical=\"true\"", " critical='true'"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        assert_eq!(parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap(), manifest, "{to}");
    }
}

#[test]
fn each_rule_has_a_manifest_that_breaks_it() {
    use Defect::*;
    let a_file = "<file path=\"x\" size=\"1\" sha256=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"><gz size=\"1\" sha256=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"/></file>";
    let second = |path: &str| {
        format!("  </files>\n{}", "")
            .replace("  </files>", &format!("{}</files>", a_file.replace("\"x\"", &format!("\"{path}\""))))
    };
    let long_name = format!("publisher=\"{}\"", "x".repeat(101));
    let nine_urls = "<baseurl href=\"http://a/\"/>".repeat(9);
    for (from, to, expected) in [
        ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<?xml version=\"1.0\"?>", Declaration),
        ("format=\"1\"", "format=\"2\"", Format),
        ("format=\"1\"", "format=\"01\"", Format),
        (" format=\"1\"", "", AttributeMissing),
        ("format=\"1\"", "format=\"1\" more=\"1\"", Attribute),
        ("<manifest format", "<manifests format", ElementMissing),
        ("  <meta ", "  <extra/>\n  <meta ", Element),
        ("  <files>", "  <meta/>\n  <files>", Element),
        ("</manifest>", "<files/></manifest>", Element),
        ("</manifest>\n", "</manifest>\n<manifest/>", Syntax),
        ("</manifest>\n", "</manifest>\nmore", Syntax),
        ("  <files>", "  text<files>", Syntax),
        ("  <files>", "  <!-- comment --><files>", Syntax),
        ("  <files>", "  <?pi?><files>", Syntax),
        ("  <files>", "  <![CDATA[]]><files>", Syntax),
        ("<manifest format", "<!DOCTYPE manifest>\n<manifest format", Syntax),
        ("component=\"core\" ", "component=\"core\" component=\"core\" ", Attribute),
        ("component=\"core\" ", "component=\"core\" xmlns=\"x\" ", Attribute),
        ("component=\"core\" ", "component=\"core\" a:b=\"x\" ", Syntax),
        ("component=\"core\" ", "component=\"core\"", Syntax),
        ("component=\"core\" ", "", AttributeMissing),
        ("component=\"core\"", "component=\"Core\"", Name),
        ("component=\"core\"", "component=\"../core\"", Name),
        ("component=\"core\"", "component=\"nul\"", Name),
        ("component=\"core\"", "component=\"co&#114;e\"", Syntax),
        ("channel=\"stable\"", "channel=\"\"", Name),
        ("version=\"3.1.0\"", "version=\"3.1\"", Version),
        ("version=\"3.1.0\"", "version=\"v3.1.0\"", Version),
        ("sequence=\"42\"", "sequence=\"+42\"", Number),
        ("sequence=\"42\"", "sequence=\" 42\"", Number),
        ("sequence=\"42\"", "sequence=\"042\"", Number),
        ("sequence=\"42\"", "sequence=\"-1\"", Number),
        ("sequence=\"42\"", "sequence=\"18446744073709551616\"", Number),
        ("sequence=\"42\"", "sequence=\"\"", Number),
        ("sequence=\"42\"", "sequence=\"4\t2\"", Syntax),
        ("platform=\"x86_64-linux\"", "platform=\"linux\"", Platform),
        ("issued=\"2026-11-21T00:00:00Z\"", "issued=\"2026-11-31T00:00:00Z\"", Time),
        ("issued=\"2026-11-21T00:00:00Z\"", "issued=\"2026-11-21\"", Time),
        ("issued=\"2026-11-21T00:00:00Z\" ", "", AttributeMissing),
        ("expires=\"2027-05-20T00:00:00Z\"", "expires=\"2026-11-21T00:00:00Z\"", Expires),
        ("expires=\"2027-05-20T00:00:00Z\"", "expires=\"never\"", Time),
        ("launch=\"bin/app\"", "launch=\"bin/other\"", Launch),
        ("launch=\"bin/app\"", "launch=\"/bin/app\"", Path(PathDefect::Absolute)),
        ("icon=\"etc/settings\"", "icon=\"etc/other\"", Appearance),
        ("icon=\"etc/settings\"", "icon=\"../settings\"", Path(PathDefect::Dots)),
        ("title=\"„Editor“ &amp; more\"", "title=\"\"", Appearance),
        ("title=\"„Editor“ &amp; more\"", "title=\" a\"", Appearance),
        ("publisher=\"Example Ltd\"", "publisher=\"a\u{202e}b\"", Appearance),
        ("publisher=\"Example Ltd\"", long_name.as_str(), Appearance),
        ("    <appearance ", "    <appearance title=\"a\"/>\n    <appearance ", Element),
        ("    <appearance ", "    <appearance/>\n    <appearance ", Appearance),
        ("https://dl.example.com/core/", "ftp://dl.example.com/core/", BaseUrl),
        ("https://dl.example.com/core/", "file:///core/", BaseUrl),
        ("https://dl.example.com/core/", "https://dl.example.com/core", BaseUrl),
        ("https://dl.example.com/core/", "https://dl.example.com/core/?x=/", BaseUrl),
        ("https://dl.example.com/core/", "https://dl.example.com/core/#/", BaseUrl),
        ("https://dl.example.com/core/", "https://me@dl.example.com/core/", BaseUrl),
        ("https://dl.example.com/core/", "https://@dl.example.com/core/", BaseUrl),
        ("https://dl.example.com/core/", "https:///core/", BaseUrl),
        ("https://dl.example.com/core/", "https://dl.example.com/co re/", BaseUrl),
        ("https://dl.example.com/core/", "core/", BaseUrl),
        ("    <baseurl href=\"https://dl.example.com/core/\"/>", &nine_urls, Element),
        ("<baseurl href=\"https://dl.example.com/core/\"/>", "<baseurl/>", AttributeMissing),
        ("<baseurl href=\"https://dl.example.com/core/\"/>", "<baseurl href=\"http://a/\"><x/></baseurl>", Element),
        ("component=\"runtime\"", "component=\"core\"", Requires),
        ("    <requires ", "    <requires component=\"runtime\" version=\"*\"/>\n    <requires ", Requires),
        ("version=\"&gt;=1.2\"", "version=\"newest\"", Version),
        ("rollout=\"10\"", "rollout=\"100\"", Rollout),
        ("rollout=\"10\"", "rollout=\"266\"", Rollout),
        ("rollout=\"10\"", "rollout=\"010\"", Number),
        ("rollout=\"10\"", "rollout=\"10%\"", Number),
        ("rollout=\"10\"", "rollout=\"\"", Number),
        ("critical=\"true\"", "critical=\"yes\"", Boolean),
        ("below=\"1.0.0\" ", "", AttributeMissing),
        ("sequence=\"7\" ", "", AttributeMissing),
        (" body=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee09\"", "", AttributeMissing),
        ("ccddee09\"/>", "ccddee09\" more=\"1\"/>", Attribute),
        ("ccddee09\"/>", "ccddee09\"><x/></stepping-stone>", Element),
        ("ccddee09", "ccddee0", Hash),
        ("below=\"1.0.0\"", "below=\"1.0\"", Version),
        ("below=\"1.0.0\"", "below=\"&lt;1.0.0\"", Version),
        ("below=\"1.0.0\"", "below=\"2.0.0\"", SteppingStone),
        ("below=\"1.0.0\"", "below=\"2.0.0-rc.1\"", SteppingStone),
        ("below=\"1.0.0\"", "below=\"2.0.0-rc.1+other\"", SteppingStone),
        ("below=\"2.0.0-rc.1\"", "below=\"3.1.1\"", SteppingStone),
        ("sequence=\"7\"", "sequence=\"42\"", SteppingStone),
        ("sequence=\"7\"", "sequence=\"43\"", SteppingStone),
        ("sequence=\"7\"", "sequence=\"07\"", Number),
        ("lang=\"en\" ", "", AttributeMissing),
        ("lang=\"en\"", "lang=\"EN\"", Notes),
        ("lang=\"en\"", "lang=\"e\"", Notes),
        ("lang=\"en\"", "lang=\"english\"", Notes),
        ("lang=\"en\"", "lang=\"pt-br\"", Notes),
        ("https://example.com/news/3.1.html", "file:///etc/passwd", Notes),
        ("https://example.com/news/3.1.html", "javascript:alert(1)", Notes),
        ("https://example.com/news/3.1.html", "https://example.com/?user=1", Notes),
        ("https://example.com/news/3.1.html", "https://me@example.com/", Notes),
        (" href=\"https://example.com/news/\"", "", Notes),
        ("      <line text=\"更快\"/>\n", "", Notes),
        ("      <line text=\"更快\"/>\n", "更快", Syntax),
        ("<line text=\"更快\"/>", "<line/>", AttributeMissing),
        ("<line text=\"更快\"/>", "<line text=\"更快\" bold=\"true\"/>", Attribute),
        ("<line text=\"更快\"/>", "<line text=\"更快\"><line/></line>", Element),
        ("<line text=\"更快\"/>", "<p text=\"更快\"/>", Element),
        ("text=\"更快\"", "text=\"\t更快\"", Syntax),
        ("text=\"更快\"", "text=\"\u{1b}[31m\"", Encoding),
        ("  <files>", "  <notes lang=\"fr\" href=\"http://a/\"/>\n  <files>", Element),
        ("size=\"11694592\"", "size=\"1e6\"", Number),
        (" size=\"11694592\"", "", AttributeMissing),
        (KEY, &KEY.to_uppercase(), Hash),
        (KEY, &KEY[1..], Hash),
        ("executable=\"true\"", "executable=\"yes\"", Boolean),
        ("executable=\"true\"", "executable=\"True\"", Boolean),
        ("preserve=\"true\"", "preserve=\"1\"", Boolean),
        ("<gz size=\"20\"", "<gz x=\"1\" size=\"20\"", Attribute),
        ("<gz size=\"20\"", "<gzip size=\"20\"", Element),
        ("      <chunks ", "      <gz size=\"1\" sha256=\"00\"/><chunks ", Element),
        ("</file>", "</file>text", Syntax),
        ("    <link ", "    <files/><link ", Element),
        ("path=\"bin/app\"", "path=\"../app\"", Path(PathDefect::Dots)),
        ("path=\"bin/app\"", "path=\"bin/app.\"", Path(PathDefect::TrailingDotOrSpace)),
        ("path=\"bin/app\"", "path=\"MANIFEST.xml\"", Path(PathDefect::Updater)),
        ("  </files>\n", &second("bin/app"), PathConflict),
        ("  </files>\n", &second("BIN/other"), PathConflict),
        ("  </files>\n", &second("bin"), PathIsFolder),
        ("  </files>\n", &second("bin/app/x"), PathIsFolder),
        ("  </files>\n", &second("lib/app"), PathConflict),
        ("target=\"../bin/app\"", "target=\"../bin/none\"", LinkTarget),
        ("target=\"../bin/app\"", "target=\"../../bin/app\"", LinkTarget),
        ("target=\"../bin/app\"", "target=\"/bin/app\"", LinkTarget),
        ("target=\"../bin/app\"", "target=\"../bin/../bin/app\"", LinkTarget),
        ("target=\"../bin/app\"", "target=\"app\"", LinkTarget),
        ("target=\"../bin/app\"", "target=\"\"", LinkTarget),
    ] {
        assert_eq!(changed(from, to), Some(expected), "{from} -> {to}");
    }
}

#[test]
fn what_must_be_there_is_missed() {
    let without = |from: &str, to: &str| {
        let (start, end) = (GOOD.find(from).unwrap(), GOOD.find(to).unwrap() + to.len());
        defect(parse(format!("{}{}", &GOOD[..start], &GOOD[end..]).as_bytes()))
    };
    assert_eq!(without("    <baseurl", "b/core/\"/>\n"), Some(Defect::ElementMissing));
    assert_eq!(without("  <meta", "</meta>\n"), Some(Defect::Element));
    assert_eq!(without("  <files>", "</files>\n"), Some(Defect::ElementMissing));
    assert_eq!(without("    <file path=\"bin", "../bin/app\"/>\n"), Some(Defect::ElementMissing));
    assert_eq!(without("<gz size=\"4747427\"", "ee01\"/>\n"), Some(Defect::ElementMissing));
    for length in 0..GOOD.len() - 1 {
        parse(&GOOD.as_bytes()[..length]).unwrap_err();
    }
}

#[test]
fn more_than_the_limits_is_refused() {
    let file = |number: usize| {
        format!("<file path=\"{number}\" size=\"1\" sha256=\"{KEY}\"><gz size=\"1\" sha256=\"{KEY}\"/></file>")
    };
    let with = |count: usize| {
        let files: String = (0..count).map(file).collect();
        parse(GOOD.replacen("  </files>", &format!("{files}</files>"), 1).as_bytes())
    };
    assert_eq!(defect(with(MAX_FILES - 3)), None);
    assert_eq!(defect(with(MAX_FILES - 2)), Some(Defect::TooManyFiles));
    let long = vec![b' '; MAX_MANIFEST_BYTES as usize + 1];
    assert_eq!(defect(parse(&long)), Some(Defect::TooLarge));
    assert_eq!(defect(SignedBytes::split(long)), Some(Defect::TooLarge));
}

#[test]
fn more_stepping_stones_and_notes_than_the_limits_are_refused() {
    let with = |more: &str| defect(parse(GOOD.replacen("  </meta>", &format!("{more}  </meta>"), 1).as_bytes()));
    let stones = |count: usize| -> String {
        let stone = |number| format!("<stepping-stone below=\"3.0.{number}\" sequence=\"1\" body=\"{KEY}\"/>");
        (0..count).map(stone).collect()
    };
    assert_eq!(with(&stones(MAX_STEPPING_STONES - 2)), None);
    assert_eq!(with(&stones(MAX_STEPPING_STONES - 1)), Some(Defect::Element));
    let languages = |count: usize| -> String {
        (0..count).map(|number| format!("<notes lang=\"de-x{number}\" href=\"http://a/b\"/>")).collect()
    };
    assert_eq!(with(&languages(MAX_NOTES - 3)), None);
    assert_eq!(with(&languages(MAX_NOTES - 2)), Some(Defect::Notes));
    let lines = |count: usize, text: &str| {
        format!("<notes lang=\"fr\">{}</notes>", format!("<line text=\"{text}\"/>").repeat(count))
    };
    let there: Vec<_> = parse(GOOD.as_bytes()).unwrap().meta.notes.into_iter().flat_map(|notes| notes.lines).collect();
    assert_eq!(with(&lines(MAX_NOTES_LINES - there.len(), "")), None);
    assert_eq!(with(&lines(MAX_NOTES_LINES - there.len() + 1, "")), Some(Defect::Notes), "of all languages together");
    let rest = MAX_NOTES_BYTES - there.iter().map(String::len).sum::<usize>();
    assert_eq!(with(&lines(1, &"x".repeat(rest))), None);
    assert_eq!(with(&lines(1, &"x".repeat(rest + 1))), Some(Defect::Notes), "of all languages together");
}

#[test]
fn the_lowest_stepping_stone_above_a_version_is_its_next_one() {
    let manifest = parse(GOOD.as_bytes()).unwrap();
    let next = |version: &str| manifest.stepping_stone_for(&version.parse().unwrap()).map(|stone| stone.sequence);
    assert_eq!(next("0.9.0"), Some(7));
    assert_eq!(next("1.0.0-rc.1"), Some(7), "a pre-release is before its release");
    assert_eq!(next("1.0.0"), Some(41));
    assert_eq!(next("2.0.0-beta.9"), Some(41));
    assert_eq!(next("2.0.0-rc.1"), None);
    assert_eq!(next("2.0.0-rc.1+build"), None);
    assert_eq!(next("3.1.0"), None);
    assert_eq!(next("9.0.0"), None);
}

#[test]
fn what_is_said_about_a_release_is_not_its_content() {
    let manifest = parse(GOOD.as_bytes()).unwrap();
    let without = |change: fn(&mut Meta)| {
        let mut other = manifest.clone();
        change(&mut other.meta);
        assert_ne!(other, manifest);
        other.same_content(&manifest)
    };
    assert!(without(|meta| meta.rollout = Some(50)));
    assert!(without(|meta| meta.critical = false));
    assert!(without(|meta| meta.stepping_stones.clear()));
    assert!(without(|meta| meta.notes.clear()));
    assert!(!without(|meta| meta.version.patch += 1));
}

#[test]
fn notes_are_chosen_by_preference_then_kin_then_english_then_order() {
    let with = |languages: &[&str]| {
        let mut meta = parse(GOOD.as_bytes()).unwrap().meta;
        let notes = |language: &&str| Notes { language: language.parse().unwrap(), href: None, lines: vec![] };
        meta.notes = languages.iter().map(notes).collect();
        meta
    };
    let choose = |there: &[&str], preferred: &[&str]| {
        let preferred: Vec<Language> = preferred.iter().map(|language| language.parse().unwrap()).collect();
        with(there).notes_for(&preferred).map(|notes| notes.language.to_string()).unwrap_or_default()
    };
    let there = ["fr", "en", "pt-BR", "zh-Hans", "zh-Hant", "de"];
    assert_eq!(choose(&there, &["pt-br"]), "pt-BR", "case does not count");
    assert_eq!(choose(&there, &["de-AT"]), "de");
    assert_eq!(choose(&there, &["zh-Hant-TW"]), "zh-Hant");
    assert_eq!(choose(&there, &["pt-PT"]), "pt-BR");
    assert_eq!(choose(&there, &["pt"]), "pt-BR");
    assert_eq!(choose(&there, &["it", "de-AT", "fr"]), "de", "the first that there is something for");
    assert_eq!(choose(&there, &["it"]), "en");
    assert_eq!(choose(&there, &[]), "en");
    assert_eq!(choose(&["fr", "de"], &["it"]), "fr");
    assert_eq!(choose(&[], &["it"]), "");
}

#[test]
fn languages_have_one_form() {
    for good in ["en", "gsw", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994"] {
        assert_eq!(good.parse::<Language>().unwrap().as_str(), good);
    }
    for bad in ["", "e", "engl", "En", "en-", "-en", "en--US", "en-U", "en_US", "en-abcdefghi", "é", "en-ü1", "*"] {
        assert_eq!(bad.parse::<Language>(), Err(NotALanguage), "{bad}");
    }
    assert_eq!(format!("en{}", "-abc".repeat(9)).parse::<Language>(), Err(NotALanguage), "more than 35 bytes");
}

#[test]
fn a_link_leads_to_what_is_listed_and_nowhere_else() {
    let link = |path: &str, target: &str| resolve(&RelPath::new(path).unwrap(), target);
    assert_eq!(link("lib/a", "b").as_deref(), Some("lib/b"));
    assert_eq!(link("lib/x/a", "../../b/c").as_deref(), Some("b/c"));
    assert_eq!(link("a", "../b"), None);
    assert_eq!(link("a", "b/../c"), None);
    assert_eq!(link("a", "b//c"), None);
    let with_folder = changed("target=\"../bin/app\"", "target=\"../bin\"");
    assert_eq!(with_folder, None, "a folder of listed files is a target");
    let chain = "target=\"../bin/app\"/><link path=\"lib/second\" target=\"app\"";
    assert_eq!(changed("target=\"../bin/app\"", chain), Some(Defect::LinkTarget));
}

#[test]
fn an_update_object_is_from_an_earlier_release_and_listed_once() {
    assert_eq!(changed("from=\"41\"", "from=\"42\""), Some(Defect::Update), "from itself");
    assert_eq!(changed("from=\"40\"", "from=\"41\""), Some(Defect::Update), "twice from one release");
    let content =
        |last: &str| format!("content=\"00112233445566778899aabbccddeeff00112233445566778899aabbccddee{last}\"");
    assert_eq!(changed(&content("05"), &content("02")), Some(Defect::Update), "twice from one content");
    assert_eq!(changed("table=\"9120\"", "table=\"1081455\""), Some(Defect::Update), "a table larger than its object");
    assert_eq!(changed(" table=\"9120\"", ""), Some(Defect::AttributeMissing));
}

#[test]
fn an_install_object_has_a_table_and_is_listed_once() {
    assert_eq!(changed("table=\"120\"", "table=\"4200001\""), Some(Defect::Update), "a table larger than its object");
    assert_eq!(changed(" table=\"120\"", ""), Some(Defect::AttributeMissing));
    let second = format!("    <install size=\"1\" sha256=\"{KEY}\" table=\"1\" table-sha256=\"{KEY}\"/>\n  </meta>");
    assert_eq!(changed("  </meta>", &second), Some(Defect::Element));
}

fn line(key: &str, base64: &str) -> String {
    format!("  <signature key=\"{key}\">{base64}</signature>\n")
}

fn signed(lines: &str) -> Vec<u8> {
    GOOD.replacen("</manifest>\n", &format!("{lines}</manifest>\n"), 1).into_bytes()
}

#[test]
fn signature_lines_are_cut_out_and_nothing_else() {
    let other = KEY.replace("00", "aa");
    let split = SignedBytes::split(signed(&(line(KEY, "AAAA") + &line(&other, "AQI=")))).unwrap();
    assert_eq!(split.body, GOOD.as_bytes());
    assert_eq!(split.signatures[0], Signature { key: KEY.parse().unwrap(), bytes: vec![0, 0, 0] });
    assert_eq!(split.signatures[1].bytes, [1, 2]);
    let file = signed(&(line(KEY, "AAAA") + &line(&other, "AQI=")));
    assert_eq!(with_signatures(&split.body, &split.signatures), file);
    assert_eq!(split.into_file(), file);
}

#[test]
fn signature_lines_have_one_form_and_one_place() {
    use Defect::*;
    let good = line(KEY, "AAAA");
    let keys: String = (0..9).map(|number| line(&KEY.replace("00", &format!("a{number}")), "AAAA")).collect();
    for (file, expected) in [
        (signed(""), SignatureCount),
        (signed(&keys), SignatureCount),
        (signed(&(good.clone() + &good)), SignatureRepeated),
        (signed(&line(&KEY.to_uppercase(), "AAAA")), SignatureLine),
        (signed(&line(&KEY[1..], "AAAA")), SignatureLine),
        (signed(&line(KEY, "AAA")), SignatureLine),
        (signed(&line(KEY, "AB==")), SignatureLine),
        (signed(&line(KEY, "AA==\n")), SignatureLine),
        (signed(&line(KEY, " AAAA")), SignatureLine),
        (signed(&good.replace("key=", "id=")), SignatureLine),
        (signed(&good.replace('"', "'")), SignatureLine),
        (signed(&good.replace("\">", "\" >")), SignatureLine),
        (signed(&good.replace("</signature>", "</signature> ")), SignatureLine),
        (signed(&good.replace('\n', "\r\n")), SignatureLine),
        (signed(&(good.clone() + "\n")), End),
        (signed(&(good.clone() + "  <other/>\n")), End),
        (signed(&format!("\n{good}")), SignatureLine),
        (GOOD.replacen("  <files>\n", &format!("  <files>\n{good}"), 1).into_bytes(), SignatureLine),
        (GOOD.replacen("<manifest", &format!("{good}<manifest"), 1).into_bytes(), SignatureLine),
        (
            String::from_utf8(signed(&good))
                .unwrap()
                .replacen("  <files>\n", &format!("  <files>\n{}", line(&KEY.replace("00", "bb"), "AAAA")), 1)
                .into_bytes(),
            SignatureLine,
        ),
        ([signed(&good), b"\n".to_vec()].concat(), End),
        ([signed(&good), good.clone().into_bytes()].concat(), End),
        (signed(&good)[..signed(&good).len() - 1].to_vec(), End),
        (signed(&good).strip_suffix(b"</manifest>\n").unwrap().to_vec(), End),
        (vec![], End),
    ] {
        let shown = String::from_utf8_lossy(&file[file.len().saturating_sub(300)..]).into_owned();
        assert_eq!(defect(SignedBytes::split(file)), Some(expected), "{shown}");
    }
    // Indented otherwise it is no signature line, and no element that format 1 knows.
    let inside = SignedBytes::split(signed(&(good.replacen("  <", "   <", 1) + &good)));
    assert!(inside.is_err());
}

#[test]
fn names_have_one_spelling() {
    for good in ["core", "a", "0", "my-add_on2", &"x".repeat(64)] {
        assert_eq!(good.parse::<Component>().unwrap().as_str(), good);
    }
    for bad in
        ["", "-a", "_a", "Core", "a.b", "a/b", "../x", "?", "#", "/x", "ä", "a b", "nul", "com1", &"x".repeat(65)]
    {
        assert!(bad.parse::<Component>().is_err(), "{bad}");
    }
}

#[test]
fn any_serves_every_platform_and_others_only_themselves() {
    let linux: Platform = "x86_64-linux".parse().unwrap();
    let mac: Platform = "aarch64-macos".parse().unwrap();
    assert!(Platform::any().serves(&linux) && linux.serves(&linux));
    assert!(!mac.serves(&linux) && !linux.serves(&Platform::any()));
    for bad in ["", "linux", "x86_64-", "-linux", "X86-linux", "x86_64-linux-gnu"] {
        assert_eq!(bad.parse::<Platform>(), Err(NotAPlatform), "{bad}");
    }
}

#[test]
fn many_requirements_are_read_in_linear_time() {
    let body = |count: usize| {
        let requires: String = (0..count).map(|n| format!("<requires component=\"c{n}\" version=\"*\"/>\n")).collect();
        GOOD.replacen("    <stepping-stone", &format!("{requires}    <stepping-stone"), 1)
    };
    let time = |count| {
        let text = body(count);
        let start = std::time::Instant::now();
        parse(text.as_bytes()).unwrap();
        start.elapsed()
    };
    time(100);
    // In quadratic time the larger one would take 256 times as long.
    let (small, large) = (time(2_000), time(32_000));
    assert!(large < small * 80, "{small:?} {large:?}");
}
