#include "idp/texts.h"

namespace nb::idp {
namespace {

constexpr Texts kEnglish = {
    .lang = "en",
    .sign_in = "Sign in",
    .email = "Email",
    .password = "Password",
    .remember = "Keep me signed in on this device",
    .submit = "Sign in",
    .continue_with = "Continue with",
    .or_else = "or",
    .wrong_credentials = "Email or password is not correct.",
    .too_many_tries = "Too many failed attempts. Please wait a few minutes and try again.",
    .busy = "The server is busy. Please try again in a moment.",
    .no_method = "No way to sign in is set up. Please ask your administrator.",
    .provider_failed =
        "Signing in with this provider did not work. Please try again or choose "
        "another way.",
    .mfa_title = "Two-factor sign-in",
    .mfa_text =
        "Enter the six-digit code of your authenticator app, or one of your recovery codes.",
    .mfa_code = "Code",
    .mfa_enrol_title = "Set up two-factor sign-in",
    .mfa_enrol_text =
        "Scan this picture with an authenticator app, then enter the six-digit code it "
        "shows.",
    .mfa_secret = "If you cannot scan it, type this key into the app:",
    .mfa_wrong = "This code is not correct or was used before.",
    .mfa_locked = "Too many wrong codes. Please wait five minutes and try again.",
    .mfa_verify = "Verify",
    .recovery_title = "Your recovery codes",
    .recovery_text =
        "Keep these codes in a safe place. Each of them lets you sign in once if you "
        "lose your authenticator app. They are shown only now.",
    .recovery_continue = "I have saved them, continue",
    .device_title = "Connect a device",
    .device_text = "Enter the code that is shown on your device.",
    .device_code = "Code of the device",
    .device_continue = "Continue",
    .device_wrong = "This code is not known or has expired. Please check it.",
    .confirm_title = "Allow this device?",
    .confirm_text = "A device asks to be connected with your account.",
    .confirm_signed_in_as = "Signed in as",
    .confirm_code = "Code of the device",
    .confirm_address = "Request came from",
    .confirm_program = "Program",
    .confirm_warning =
        "Allow this only if you started it yourself, just now, and your device shows "
        "the same code. Nobody from support will ask you to do this.",
    .confirm_allow = "Allow",
    .confirm_deny = "Deny",
    .device_done_title = "Device connected",
    .device_done_text = "You can close this page and return to your device.",
    .device_denied_title = "Request denied",
    .device_denied_text = "The device was not connected. You can close this page.",
    .device_late_title = "Request has expired",
    .device_late_text =
        "The code has expired or was already used. Please start again on your "
        "device.",
    .error_title = "Sign-in is not possible",
    .error_bad_client = "The application that sent you here is not registered.",
    .error_bad_redirect = "The address to return to is not registered for this application.",
    .error_bad_request = "The request was not understood.",
    .error_expired = "This sign-in has expired or is already finished. Please start again.",
    .error_other_browser =
        "This sign-in was started in another browser, or cookies are blocked. "
        "Please start again.",
    .error_unavailable = "The service is not available right now. Please try again in a moment.",
    .error_not_found = "There is no such page.",
    .error_bad_logout = "The sign-out request is not valid.",
    .logout_title = "Signed out",
    .logout_text = "You have been signed out.",
    .logout_back = "Back to start",
    .logout_ask_title = "Sign out?",
    .logout_ask_text = "Do you want to sign out?",
    .logout_ask_button = "Sign out",
};

constexpr Texts kGerman = {
    .lang = "de",
    .sign_in = "Anmelden",
    .email = "E-Mail",
    .password = "Passwort",
    .remember = "Auf diesem Gerät angemeldet bleiben",
    .submit = "Anmelden",
    .continue_with = "Weiter mit",
    .or_else = "oder",
    .wrong_credentials = "E-Mail oder Passwort ist nicht richtig.",
    .too_many_tries =
        "Zu viele Fehlversuche. Bitte warten Sie einige Minuten und versuchen Sie es "
        "erneut.",
    .busy = "Der Server ist ausgelastet. Bitte versuchen Sie es gleich noch einmal.",
    .no_method = "Es ist keine Anmeldung eingerichtet. Bitte wenden Sie sich an Ihre Verwaltung.",
    .provider_failed =
        "Die Anmeldung bei diesem Anbieter hat nicht funktioniert. Bitte versuchen "
        "Sie es erneut oder wählen Sie einen anderen Weg.",
    .mfa_title = "Zweiter Faktor",
    .mfa_text =
        "Geben Sie den sechsstelligen Code Ihrer Authenticator-App ein oder einen Ihrer "
        "Wiederherstellungscodes.",
    .mfa_code = "Code",
    .mfa_enrol_title = "Zweiten Faktor einrichten",
    .mfa_enrol_text =
        "Scannen Sie dieses Bild mit einer Authenticator-App und geben Sie dann den "
        "sechsstelligen Code ein, den sie anzeigt.",
    .mfa_secret = "Falls Sie nicht scannen können, geben Sie diesen Schlüssel in die App ein:",
    .mfa_wrong = "Dieser Code ist nicht richtig oder wurde schon benutzt.",
    .mfa_locked = "Zu viele falsche Codes. Bitte warten Sie fünf Minuten.",
    .mfa_verify = "Prüfen",
    .recovery_title = "Ihre Wiederherstellungscodes",
    .recovery_text =
        "Bewahren Sie diese Codes sicher auf. Mit jedem können Sie sich einmal "
        "anmelden, wenn Sie Ihre Authenticator-App verlieren. Sie werden nur jetzt "
        "angezeigt.",
    .recovery_continue = "Ich habe sie gespeichert, weiter",
    .device_title = "Gerät verbinden",
    .device_text = "Geben Sie den Code ein, den Ihr Gerät anzeigt.",
    .device_code = "Code des Geräts",
    .device_continue = "Weiter",
    .device_wrong = "Dieser Code ist nicht bekannt oder abgelaufen. Bitte prüfen Sie ihn.",
    .confirm_title = "Dieses Gerät zulassen?",
    .confirm_text = "Ein Gerät möchte mit Ihrem Konto verbunden werden.",
    .confirm_signed_in_as = "Angemeldet als",
    .confirm_code = "Code des Geräts",
    .confirm_address = "Anfrage kam von",
    .confirm_program = "Programm",
    .confirm_warning =
        "Lassen Sie es nur zu, wenn Sie es gerade selbst gestartet haben und Ihr "
        "Gerät denselben Code zeigt. Niemand vom Support wird Sie darum bitten.",
    .confirm_allow = "Zulassen",
    .confirm_deny = "Ablehnen",
    .device_done_title = "Gerät verbunden",
    .device_done_text = "Sie können diese Seite schließen und zu Ihrem Gerät zurückkehren.",
    .device_denied_title = "Anfrage abgelehnt",
    .device_denied_text = "Das Gerät wurde nicht verbunden. Sie können diese Seite schließen.",
    .device_late_title = "Anfrage abgelaufen",
    .device_late_text =
        "Der Code ist abgelaufen oder wurde schon benutzt. Bitte beginnen Sie auf "
        "Ihrem Gerät von vorn.",
    .error_title = "Anmeldung nicht möglich",
    .error_bad_client = "Die Anwendung, von der Sie kommen, ist nicht bekannt.",
    .error_bad_redirect = "Die Rücksprungadresse gehört nicht zu dieser Anwendung.",
    .error_bad_request = "Die Anfrage wurde nicht verstanden.",
    .error_expired =
        "Diese Anmeldung ist abgelaufen oder schon beendet. Bitte beginnen Sie von "
        "vorn.",
    .error_other_browser =
        "Diese Anmeldung wurde in einem anderen Browser begonnen, oder Cookies "
        "sind blockiert. Bitte beginnen Sie von vorn.",
    .error_unavailable =
        "Der Dienst ist gerade nicht erreichbar. Bitte versuchen Sie es gleich noch "
        "einmal.",
    .error_not_found = "Diese Seite gibt es nicht.",
    .error_bad_logout = "Die Anfrage zum Abmelden ist nicht gültig.",
    .logout_title = "Abgemeldet",
    .logout_text = "Sie sind jetzt abgemeldet.",
    .logout_back = "Zurück zum Anfang",
    .logout_ask_title = "Abmelden?",
    .logout_ask_text = "Möchten Sie sich abmelden?",
    .logout_ask_button = "Abmelden",
};

}  // namespace

const Texts& texts(std::string_view language) {
  return language == "de" ? kGerman : kEnglish;
}

}  // namespace nb::idp
