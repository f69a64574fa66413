// Examples of RFC 7515, 7520, 7638 and 8037, letter for letter; and two of our own, made with the
// openssl program.
#pragma once

namespace nb::crypto::vectors {

// RFC 7520 §3.3
inline constexpr char kRsaPublic[] =
    R"({"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","n":"n4EPtAOCc9AlkeQHPzH)"
    R"(StgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2)"
    R"(wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M)"
    R"(1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS)"
    R"(2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw","e":"AQAB"})";

// RFC 7520 §3.4
inline constexpr char kRsaPrivate[] =
    R"({"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","n":"n4EPtAOCc9AlkeQHPzH)"
    R"(StgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2)"
    R"(wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M)"
    R"(1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS)"
    R"(2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw","e":"AQAB","d":"bWUC9B-EFRI)"
    R"(o8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGg)"
    R"(drhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzL)"
    R"(YGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5)"
    R"(uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ","p":"3Slxg_DwTXJcb6)"
    R"(095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIA)"
    R"(mr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k","q":"uKE2dh-cTf6E)"
    R"(RF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2)"
    R"(lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc","dp":"B8PVvXkvJ)"
    R"(rj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26)"
    R"(gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik","dq":"CLDmDG)"
    R"(duhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6o)"
    R"(g5iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8","qi":"3Pi)"
    R"(qvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQ)"
    R"(j8VfBdYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"})";

// RFC 7520 §4.1
inline constexpr char kRs256[] =
    R"(eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGF)"
    R"(uZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9)"
    R"(hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW9)"
    R"(1IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKt)"
    R"(ainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0R)"
    R"(nltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS)"
    R"(_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH)"
    R"(84ogoree7vjbU5y18kDquDg)";

// RFC 7520 §4.2
inline constexpr char kPs384[] =
    R"(eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGF)"
    R"(uZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9)"
    R"(hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW9)"
    R"(1IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1)"
    R"(xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFl)"
    R"(fz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2)"
    R"(Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfm)"
    R"(WjwZ6oD4ifKo8DYM-X72Eaw)";

// RFC 7520 §3.1
inline constexpr char kP521Public[] =
    R"({"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLL)"
    R"(OsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":)"
    R"("AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR)"
    R"(1"})";

// RFC 7520 §4.3
inline constexpr char kEs512[] =
    R"(eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGF)"
    R"(uZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9)"
    R"(hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW9)"
    R"(1IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUII)"
    R"(UnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IE)"
    R"(KBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2)";

// RFC 7515 A.3.1
inline constexpr char kP256Private[] =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu)"
    R"(9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})";

// RFC 7515 A.3.1
inline constexpr char kP256Public[] =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu)"
    R"(9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";

// RFC 7515 A.3.1
inline constexpr char kEs256[] =
    R"(eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx)"
    R"(lLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I)"
    R"(SlSApmWQxfKTUJqPP3-Kg6NU1Q)";

// RFC 8037 A.2
inline constexpr char kEd25519Public[] =
    R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";

// RFC 8037 A.3
inline constexpr char kEd25519Thumbprint[] = R"(kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)";

// RFC 8037 A.4
inline constexpr char kEdDsa[] =
    R"(eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09P)"
    R"(GcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg)";

// RFC 7638 §3.1
inline constexpr char kThumbprintKey[] =
    R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7)"
    R"(aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0)"
    R"(h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD0)"
    R"(8qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJ)"
    R"(zKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"})";

// RFC 7638 §3.1
inline constexpr char kThumbprint[] = R"(NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs)";

// Our own: a token by the key of a certificate, and one by a P-384 key.
inline constexpr const char* kCertified =
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogImMifQ.eyJzdWIiOiJ1In0.fWMOMXPCpTlq1hRqaSA4txoRcJ3dUkL4s"
    "GrJUoP4a2Kw2zs01IIX6fPauzIiwlpNxmJMKV0O2x9LMjfP2WEOLzn1iO0G33YdaDxXp53vj3qVhoXt9TeIkCcDo"
    "s7_HmNBCLCHnFnYQ3MsnEIGlqU4RLceCfulL1pw6PEZCCiRljMQ-btSe6MT0_foa4ov5QyWuxwPd41c-iKM-RGiY"
    "iiAC7dCpTvHvlqKIpPCPJsQqDtSTcFraWfjvFpMFELwBqjbIDHqD22iCMZWpk_zfU_u0jfUXwB-UUn4R8Oo6KU9J"
    "rrLJSZLjFwy45pplTK92Wq1N9G0XL-_fymMrXd-z5RAdg";
// A certificate of the key above; base64 of its DER form.
inline constexpr const char* kCertificate =
    "MIIDEzCCAfugAwIBAgIUd3fyFLZUjoGQPnbHrSvZ1yDdmB4wDQYJKoZIhvcNAQELBQAwGDEWMBQGA1UEAwwNcHJv"
    "dmlkZXIudGVzdDAgFw0yNjExMjYyMjAwMTBaGA8yMTI2MTEwMjIyMDAxMFowGDEWMBQGA1UEAwwNcHJvdmlkZXIu"
    "dGVzdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKlQXWFHsT5r4mZupDHiy95a7bUWxi6GrKDhyoko"
    "NePk0NHd1in8E4YDA5LJxXCcFKx2qRSI+R+6nN3e9CV6pJsumklHjFq8RZiCWQ+B8rpCyX9RfFh62qWeYZq/w+x9"
    "FNwUBxa4O74sIKvePHNuNpRhzRoiYH35psOpw9GUcH7m8CGUgQ93k93dkAZduI1HbpyxzJ89tMKg+agOIT+5AqIM"
    "wGN4TllbGNtge+tsZgJq+ABcPfAk0tSYyIt+GQ/z5Pvgq7mh/Zfk5UVxJR/tFchgMGDtiUADHzUhnnj7k3ebAm3x"
    "uoMjBf2kOisHfp9eoro+P+XGZCcX+g9rdA/yomkCAwEAAaNTMFEwHQYDVR0OBBYEFI9EZgje6k7d9bclbImhsPyO"
    "HXGFMB8GA1UdIwQYMBaAFI9EZgje6k7d9bclbImhsPyOHXGFMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQEL"
    "BQADggEBAKXuLMbAJxl1bUsSmoDyIV8GeMjV2/A0C3i9XQjRaUcDDqoq7L6TmjBRrVTZrJM5EGuJeROoErB4TD01"
    "Dg5w4KlYwNWLwH5cesbx3c8Pcv4rCzZ32XKjxGirFDt+uiEAd4whkA2ER6WeH6404XNHb8CV5KfnbqBk5wJY1o+0"
    "BUTapiIJw5iUU2Vq8mB8TXriPKTFeXz9vcGXwy/sQ0kqQK/azgNfD3sdymurqGR0UB+HggQm/NrPDQFveF7pz7vR"
    "GkintJhmAGUVO+9KZhGr23BT0vn/bPxsTGB4utqFhpDiFy/85thyt+icA78vfUGzBGCy96DIdgV/2ao6eYfqSHI=";
inline constexpr const char* kEs384 =
    "eyJhbGciOiAiRVMzODQiLCAia2lkIjogInAzODQifQ.eyJzdWIiOiJ1In0.qpAa3UhnxhDtLzrFEyxqS73PUYyee"
    "eh9qKkL6-Po9tpLwDV8yCydIxRxv3yPFS8oNXMpvsxUTLZKZdol9ljq3knHsoksEoW25i7E_kXYBGWxfgD4GR-JR"
    "e4wzLQyM1gQ";
inline constexpr const char* kP384Public =
    R"({"kty":"EC","crv":"P-384","kid":"p384","x":"56sl7lJBKleNc2E0da_wjPzk60vYCnQ2HIWCOgP012DgxqHv6G66PdxPksYHU09L","y":"4VA6K1L2Rp8fGUlrabQwuiYVexCSqAp328nJt70U-9gAjqstwsYQH3_rUqkQh4RY"})";

}  // namespace nb::crypto::vectors
