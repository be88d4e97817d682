@echo off
rem The demo for Windows: the story of demo.sh. Files are packed by four workers, one job a
rem file; one job fails twice before it succeeds, one cannot succeed until its directory is
rem there. It uses a queue of its own in a temporary directory and leaves nothing behind. It
rem ends with an error if anything is not as README.md promises.
rem
rem Needs dist\queuectl.exe (npm ci, then npm run build) and tar.exe (in Windows since 2018).
setlocal enableextensions disabledelayedexpansion
chcp 65001 >nul

set "ROOT=%~dp0"
set "QUEUECTL=%ROOT%dist\queuectl.exe"
if not exist "%QUEUECTL%" (
  echo demo: there is no "%QUEUECTL%"; first: npm ci, then npm run build
  exit /b 1
)
set "WORK=%TEMP%\queuectl-demo-%RANDOM%%RANDOM%"
mkdir "%WORK%" || exit /b 1
set "QUEUECTL_DB="
set "QUEUECTL_HOME=%WORK%\queue"
pushd "%WORK%" || exit /b 1

echo.
echo -- A job is safe on disk when enqueue returns, whether a worker runs or not
"%QUEUECTL%" enqueue "{\"id\":\"hello\",\"command\":\"echo hello from the queue\"}" || goto failed
"%QUEUECTL%" worker start --count 4 || goto failed
"%QUEUECTL%" wait hello --timeout 30s || goto failed
"%QUEUECTL%" logs hello || goto failed

echo.
echo -- One job a file; retries after a second, to be quick
"%QUEUECTL%" config set backoff_base 1 || goto failed
mkdir archive || goto failed
for %%F in ("%ROOT%docs\*.md") do (
  "%QUEUECTL%" enqueue --id "%%~nF" --cwd "%ROOT%docs" -- tar -czf "%WORK%\archive\%%~nF.tgz" "%%~nxF" || goto failed
)

echo.
echo -- One that fails twice, and one whose directory is not there
"%QUEUECTL%" enqueue --id unsteady --max-retries 2 --shell "if %%QUEUECTL_ATTEMPT%% LEQ 2 exit 1" || goto failed
"%QUEUECTL%" enqueue --id vault --max-retries 1 --cwd "%ROOT%docs" -- tar -czf "%WORK%\vault\design.tgz" design.md || goto failed
"%QUEUECTL%" wait unsteady --timeout 60s || goto failed
"%QUEUECTL%" show unsteady || goto failed
"%QUEUECTL%" wait vault --timeout 60s && goto failed
"%QUEUECTL%" status || goto failed

echo.
echo -- The dead letter queue, and why
"%QUEUECTL%" dlq list || goto failed
"%QUEUECTL%" logs vault || goto failed

echo.
echo -- The cause is fixed; all dead jobs run again
mkdir vault || goto failed
"%QUEUECTL%" dlq retry --all || goto failed
"%QUEUECTL%" wait vault --timeout 60s || goto failed

echo.
echo -- Every archive is read back
for %%F in ("%ROOT%docs\*.md") do (
  "%QUEUECTL%" wait "%%~nF" --timeout 60s || goto failed
  tar -tzf "archive\%%~nF.tgz" || goto failed
)
tar -tzf vault\design.tgz || goto failed

echo.
echo -- The queue survives its workers
"%QUEUECTL%" worker stop || goto failed
"%QUEUECTL%" worker list || goto failed
"%QUEUECTL%" list || goto failed

call :clean
echo.
echo Everything was as promised.
exit /b 0

:failed
"%QUEUECTL%" worker stop --now >nul 2>&1
call :clean
echo.
echo The demo failed.
exit /b 1

:clean
popd
rmdir /s /q "%WORK%"
exit /b 0
