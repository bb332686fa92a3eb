; Installs a component for one user, without administrator rights.
;
; The root gets three folders: the component; .patcher, the updater's state; and .uninstall, with
; this script's uninstaller, patcher.exe and the public keys. No component has a dot in its name.
; patcher.exe makes and removes the entries of menu and registry, and removes the component: only it
; knows the files of a release that was installed by an update.

Unicode true
Target @TARGET@
RequestExecutionLevel user
ManifestDPIAware true
ManifestSupportedOS all
SetCompressor /SOLID lzma
SetCompressorDictSize 64
SetDateSave off

!include LogicLib.nsh
!include MUI2.nsh

Name "@TITLE@" "@TITLE_WITH_DOUBLE_AMPERSANDS@"
BrandingText "@PUBLISHER@ @VERSION@"
OutFile installer.exe
InstallDir "$LOCALAPPDATA\Programs\@FOLDER@"
@ICON@
!define MUI_FINISHPAGE_RUN
!define MUI_FINISHPAGE_RUN_FUNCTION start_program
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE English

; The folder of the uninstaller.
Var UPDATER
; The folder that the component is extracted into.
Var COMPLETE

; Shows a text, and ends with exit code 2.
!macro fail TEXT
  DetailPrint "${TEXT}"
  MessageBox MB_OK|MB_ICONSTOP "${TEXT}" /SD IDOK
  SetErrorLevel 2
  Abort
!macroend

Section
  StrCpy $UPDATER "$INSTDIR\.uninstall"
  ${If} ${FileExists} "$INSTDIR\@COMPONENT@\manifest.xml"
    !insertmacro fail "$(^Name) is installed in $INSTDIR already. It updates itself."
  ${EndIf}

  ; Extracted beside its place, so that it appears whole or not at all.
  StrCpy $COMPLETE "$INSTDIR\.install"
  RMDir /r "$COMPLETE"
  ClearErrors
@FILES@
  SetOutPath "$COMPLETE"
  File manifest.xml

  ; The program that removes it comes before it.
  SetOutPath "$UPDATER"
  File patcher.exe
@KEY_FILES@
  WriteUninstaller "$UPDATER\uninstall.exe"
  ${If} ${Errors}
    !insertmacro fail "The files cannot be written into $INSTDIR."
  ${EndIf}

  ; Files that the user kept when the component was uninstalled.
  ${If} ${FileExists} "$INSTDIR\@COMPONENT@\*.*"
    StrCpy $0 "$INSTDIR\@COMPONENT@.saved"
    StrCpy $1 1
    ${DoWhile} ${FileExists} "$0\*.*"
      IntOp $1 $1 + 1
      StrCpy $0 "$INSTDIR\@COMPONENT@.saved-$1"
    ${Loop}
    Rename "$INSTDIR\@COMPONENT@" "$0"
  ${EndIf}
  Rename "$COMPLETE" "$INSTDIR\@COMPONENT@"
  ${If} ${Errors}
    !insertmacro fail "The files cannot be moved to $INSTDIR\@COMPONENT@."
  ${EndIf}

  nsExec::ExecToLog '"$UPDATER\patcher.exe" --root "$INSTDIR" @KEYS@ integrate @COMPONENT@ --uninstaller "$UPDATER\uninstall.exe"'
  Pop $0
  ${If} $0 != 0
    !insertmacro fail "$(^Name) is installed in $INSTDIR, but cannot be added to the start menu."
  ${EndIf}
SectionEnd

Function start_program
  SetOutPath "$INSTDIR\@COMPONENT@\@LAUNCH_FOLDER@"
  Exec '"$INSTDIR\@COMPONENT@\@LAUNCH@"'
FunctionEnd

Section Uninstall
  StrCpy $UPDATER $INSTDIR
  GetFullPathName $R0 "$INSTDIR\.."
  SetOutPath $TEMP

  ; Each pass removes the components that no other one needs, until none can be removed.
  ${Do}
    StrCpy $R1 0
    FindFirst $0 $1 "$R0\*.*"
    ${DoUntil} $1 == ""
      ${If} ${FileExists} "$R0\$1\manifest.xml"
        nsExec::ExecToLog '"$UPDATER\patcher.exe" --root "$R0" @KEYS@ remove "$1"'
        Pop $2
        ${If} $2 == 0
          StrCpy $R1 1
        ${EndIf}
      ${EndIf}
      FindNext $0 $1
    ${Loop}
    FindClose $0
  ${LoopUntil} $R1 == 0
  ${If} ${FileExists} "$R0\@COMPONENT@\manifest.xml"
    !insertmacro fail "$(^Name) cannot be removed. Close it, and try again."
  ${EndIf}
  ; The component may be gone already, but not its entries.
  nsExec::ExecToLog '"$UPDATER\patcher.exe" --root "$R0" @KEYS@ integrate @COMPONENT@ --remove'
  Pop $0

  RMDir /r "$R0\.patcher"
  RMDir /r "$R0\.install"
@DELETE_KEYS@
  Delete "$UPDATER\patcher.exe"
  Delete "$UPDATER\uninstall.exe"
  RMDir "$UPDATER"
  ; Only if it is empty: files of the user stay.
  RMDir "$R0"
SectionEnd
