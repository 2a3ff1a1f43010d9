// Made from openapi/cloud.json by `npm run api`; not edited by hand.

export interface components {
    schemas: {
        /**
         * @description Ask messages for one meter, each to be answered by one status. What answers them goes to
         *     `PUT /v1/enrolments/{phone_key}`, by the phone that has asked for them.
         */
        Asks: {
            /** @description Whole ask messages (18 bytes each). */
            asks: components["schemas"]["HexBytes"][];
            /** @description From when on they are refused: 35 days. */
            expires_at_ms: components["schemas"]["UnixMillis"];
        };
        /**
         * @description `POST /v1/meters/{meter}/asks`: ask messages to read the meter with where there is no internet. A signed
         *     phone request, by an enrolled phone.
         */
        AsksWanted: {
            /**
             * Format: uint8
             * @description How many, 1..=8.
             */
            count: number;
        };
        /** @description A state that the company believes. */
        BelievedState: {
            /**
             * Format: int32
             * @description What remains, in `unit`.
             */
            balance: number;
            /**
             * Format: uint8
             * @description Battery, per cent; absent where a receipt told the state.
             */
            battery_percent?: number | null;
            /** @description When the company came to believe it. */
            believed_at_ms: components["schemas"]["UnixMillis"];
            /**
             * Format: uint16
             * @description State bits of the recharge data format.
             */
            flags: number;
            /**
             * @description The token (52 bytes) that gives the meter the key of its next generation, until a believed state shows
             *     that one: any phone may deliver it, and reports the receipt by the generation.
             */
            key_change?: components["schemas"]["HexBytes"] | null;
            /**
             * Format: uint32
             * @description Sequence of the last token applied.
             */
            last_seq: number;
            /** @description SHA-256 of the message that told it. */
            message_sha256: components["schemas"]["Digest"];
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /** @description The meter's clock. */
            meter_time: components["schemas"]["UnixTime"];
            /** @description An older state than one already believed: true, but not news. */
            old: boolean;
            /** @description The register. */
            register_centi_m3: components["schemas"]["Volume"];
            /**
             * Format: uint32
             * @description Ever credited, in `unit`.
             */
            total: number;
            /** @description What it counts in. */
            unit: components["schemas"]["Unit"];
            /**
             * @description The newest token of the meter (56 bytes), while no believed state shows it: any phone may deliver it,
             *     and reports the receipt by its sequence.
             */
            waiting?: components["schemas"]["HexBytes"] | null;
        };
        /** @description `POST /v1/vends/{vend_id}/confirmation`: consent to exactly this quote. */
        Consent: {
            /** @description Hash of the quote that the phone has verified and shown. */
            quote_hash: components["schemas"]["Digest"];
        };
        /** @description `GET /v1/bridge`: the bridge to a demo card, for a page that its visitor has asked for a demo. */
        DemoBridge: {
            /** @description Where it is, like `wss://bridge.example`: a WebSocket is opened at its path `/v1/card`. */
            origin: string;
        };
        /** @description A SHA-256 digest: 64 lower-case hexadecimal digits. */
        Digest: string;
        /** @description The phone may see this meter's data. */
        Enrolment: {
            /** @description Since when. */
            enrolled_at_ms: components["schemas"]["UnixMillis"];
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /** @description The phone. */
            phone_key: components["schemas"]["PublicKeyHex"];
            /** @description What the meter lacks (a total token of 56 bytes, or a setting), for this phone to deliver at once. */
            waiting?: components["schemas"]["HexBytes"] | null;
        };
        /** @description `DELETE /v1/enrolments/{phone_key}`: a signed phone request; any enrolled phone of the meter may revoke. */
        EnrolmentRevoked: {
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
        };
        /** @description `PUT /v1/enrolments/{phone_key}`: proof of presence. A signed phone request (see `docs/protocols/http.md`). */
        EnrolmentWanted: {
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /** @description A status that answers an ask made for this phone key. */
            status: components["schemas"]["HexBytes"];
        };
        /** @description A message as bytes, in hexadecimal; at most 512 bytes. */
        HexBytes: string;
        /** @description A signed statement: compact JWS (RFC 7515). Check the signature with the key of `GET /v1/keys`. */
        Jws: string;
        /** @description `GET /v1/keys` of every server: the public keys with which its statements can be checked. */
        Keys: {
            /** @description The gas company's key (quotes, issues, settlements), where this server knows it. */
            company?: components["schemas"]["PublicKeyHex"] | null;
            /** @description The payment server's key (payments), where this server knows it. */
            pay?: components["schemas"]["PublicKeyHex"] | null;
        };
        /** @description `GET /v1/meters/{meter}`: what an enrolled phone sees (signed request). */
        Meter: {
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /** @description Records kept, newest first, at most 400. */
            records: components["schemas"]["HexBytes"][];
            /** @description The newest believed state, if any. */
            state?: components["schemas"]["BelievedState"] | null;
            /** @description Vends of this meter, newest first, at most 100. */
            vends: components["schemas"]["VendSummary"][];
        };
        /** @description A meter's number: 14 decimal digits. */
        MeterNumber: string;
        /**
         * Format: int64
         * @description Money in fen (0.01 CNY).
         */
        Money: number;
        /** @description An ask message to be sent to the card. */
        Nonce: {
            /** @description The whole ask message (18 bytes). */
            ask: components["schemas"]["HexBytes"];
            /** @description From when on it is refused. */
            expires_at_ms: components["schemas"]["UnixMillis"];
        };
        /**
         * @description `POST /v1/nonces`: an ask message for one meter. With a phone key, the status that answers it can
         *     enrol that phone.
         */
        NonceWanted: {
            /** @description The meter to be asked. */
            meter: components["schemas"]["MeterNumber"];
            /** @description The phone to be enrolled. */
            phone_key?: components["schemas"]["PublicKeyHex"] | null;
        };
        /** @description What stands in the way, while something does. The vend goes on by itself or by the hint. */
        Obstacle: {
            /** @description A code of `codes`. */
            code: string;
            /** @description What happened and what to do. */
            detail: string;
            /** @description For `tender_open`: whose payment is under way. */
            vend_id?: components["schemas"]["VendId"] | null;
        };
        /** @description What the payer is shown. */
        PaymentRequest: {
            /** @description What is to be paid. */
            amount_fen: components["schemas"]["Money"];
            /** @description What the QR code holds; empty where none is shown. */
            code_url?: string;
            /** @description From when on it can no longer be paid. */
            expires_at_ms: components["schemas"]["UnixMillis"];
            /**
             * @description A page where it can be paid in a browser: always for `Presentation::H5`, where the page that leads
             *     there adds `&redirect_url=`; for a QR code where the provider has one (the sandbox's cashier). It may
             *     be replaced by a newer one, and is dead then.
             */
            link?: string | null;
            /** @description How to show it. */
            presentation: components["schemas"]["Presentation"];
            /** @description The provider. */
            provider: string;
        };
        /** @description How a payment request is shown. */
        Presentation: "native" | "h5";
        /** @description What went wrong, for people and programs (RFC 9457, `application/problem+json`). */
        Problem: {
            /** @description Which problem, for programs: one of `codes`. */
            code: string;
            /** @description What happened here, and what was not lost. */
            detail: string;
            /** @description What to do next. */
            hint?: string;
            /**
             * Format: uint16
             * @description The HTTP status again.
             */
            status: number;
            /** @description What happened, in one line. */
            title: string;
            /** @description Always `about:blank`: `code` says which problem it is. */
            type: string;
            /** @description For `tender_open`: the vend whose payment is under way. */
            vend_id?: components["schemas"]["VendId"] | null;
            /**
             * @description The newest token of the meter (56 bytes), where the gas company has not seen it on the meter yet: any
             *     phone may deliver it, and reports the receipt by its sequence.
             */
            waiting?: components["schemas"]["HexBytes"] | null;
        };
        /** @description An Ed25519 public key: 64 lower-case hexadecimal digits. */
        PublicKeyHex: string;
        /** @description `PUT /v1/vends/{vend_id}/receipt`. */
        ReceiptDelivered: {
            /** @description The whole receipt message (58 bytes). */
            receipt: components["schemas"]["HexBytes"];
        };
        /** @description What was kept of an upload. */
        RecordsKept: {
            /**
             * Format: uint32
             * @description How many were new.
             */
            new: number;
            /**
             * Format: uint32
             * @description Highest record number kept: the phone fetches only what comes after.
             */
            newest: number;
        };
        /** @description `PUT /v1/meters/{meter}/records`: stored readings, from an enrolled phone (signed request). */
        RecordsUploaded: {
            /** @description Whole record messages (36 bytes each), at most 200. */
            records: components["schemas"]["HexBytes"][];
        };
        /** @description A refund (`PUT`). */
        Refund: {
            /** @description All that was paid. */
            amount_fen: components["schemas"]["Money"];
            /** @description The company's order, as it was signed: typ `pilotlight-refund-order+jws`. */
            order: components["schemas"]["Jws"];
            /** @description The refund. */
            refund_id: components["schemas"]["RefundId"];
            /** @description Once refunded: typ `pilotlight-refunded+jws`. */
            refunded?: components["schemas"]["Jws"] | null;
            /** @description Where it stands. */
            state: components["schemas"]["RefundState"];
            /** @description Why it does not get on. */
            trouble?: components["schemas"]["RefundTrouble"] | null;
            /** @description The vend whose money goes back. */
            vend_id: components["schemas"]["VendId"];
        };
        /**
         * Format: uuid
         * @description A refund: a UUID of version 7, made at the gas company's desk.
         */
        RefundId: string;
        /** @description Where a refund stands. */
        RefundState: "ordered" | "at_provider" | "refunded";
        /** @description Why a refund does not get on before people have done their part. */
        RefundTrouble: "abnormal" | "amount" | "closed" | "refused";
        /** @description One step of a vend's life. */
        Step: {
            /** @description When, by the cloud's clock. */
            at_ms: components["schemas"]["UnixMillis"];
            /** @description The state reached. */
            state: components["schemas"]["VendState"];
        };
        /** @description A tender (`PUT`, `GET`, `POST .../close`). */
        Tender: {
            /** @description What is to be paid. */
            amount_fen: components["schemas"]["Money"];
            /** @description The order number at the provider: base32(vend id) and attempt. */
            order_no: string;
            /** @description Once paid: typ `pilotlight-payment+jws`. */
            payment?: components["schemas"]["Jws"] | null;
            /** @description While open. */
            payment_request?: components["schemas"]["PaymentRequest"] | null;
            /** @description Hash of the quote. */
            quote_hash: components["schemas"]["Digest"];
            /** @description Once the gas company has ordered that the money goes back. */
            refund?: components["schemas"]["Refund"] | null;
            /** @description Where it stands. */
            state: components["schemas"]["TenderState"];
            /** @description The vend that it pays for. */
            vend_id: components["schemas"]["VendId"];
        };
        /** @description `POST /v1/vends/{vend_id}/tender`: consent to exactly this quote, to be paid in this way. */
        TenderAsked: {
            /**
             * @description How the payment request is to be shown; left out, as a QR code. The request itself says how it is,
             *     since a provider need not offer every way.
             * @default native
             */
            presentation: components["schemas"]["Presentation"];
            /** @description Hash of the quote that the phone has verified and shown. */
            quote_hash: components["schemas"]["Digest"];
        };
        /** @description What the payment server tells the cloud (`POST /v1/tender-events` there, Standard Webhooks `v1a`). */
        TenderEvent: {
            /** @description The tender as it is now. */
            tender: components["schemas"]["Tender"];
        };
        /** @description Where a tender stands. */
        TenderState: "requested" | "open" | "paid" | "closed";
        /** @description `PUT /v1/meters/{meter}/tokens/{seq}/receipt`: the meter's answer to a total token that no vend brought. */
        TokenDelivered: {
            /** @description The whole receipt message (58 bytes). */
            receipt: components["schemas"]["HexBytes"];
        };
        /** @description The company believes that receipt. */
        TokenTaken: {
            /** @description What the meter lacks now, as `Enrolment::waiting`. */
            waiting?: components["schemas"]["HexBytes"] | null;
        };
        /**
         * @description What a meter counts in: fen, or 0.01 m³.
         * @enum {string}
         */
        Unit: "fen" | "centi_cubic_metre";
        /**
         * Format: int64
         * @description Milliseconds since 1970 (UTC).
         */
        UnixMillis: number;
        /**
         * Format: uint32
         * @description Seconds since 1970 (UTC), by a meter's clock.
         */
        UnixTime: number;
        /** @description A vend as its owner sees it (`PUT`, `GET`, `POST` under `/v1/vends/{vend_id}`). */
        Vend: {
            /** @description When the user consented, if so. */
            consented_at_ms?: components["schemas"]["UnixMillis"] | null;
            /** @description The company's signed statement of issue. */
            issue?: components["schemas"]["Jws"] | null;
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /** @description What stands in the way. */
            obstacle?: components["schemas"]["Obstacle"] | null;
            /** @description The payment server's signed statement, once paid. */
            payment?: components["schemas"]["Jws"] | null;
            /** @description While payment can be made. */
            payment_request?: components["schemas"]["PaymentRequest"] | null;
            /** @description The company's signed quote. */
            quote: components["schemas"]["Jws"];
            /** @description Its hash. */
            quote_hash: components["schemas"]["Digest"];
            /** @description The meter's receipt, once delivered. */
            receipt?: components["schemas"]["HexBytes"] | null;
            /**
             * @description The company's signed order that the money goes back, once the meter has shown that it no longer holds
             *     the gas: typ `pilotlight-refund-order+jws`.
             */
            refund_order?: components["schemas"]["Jws"] | null;
            /** @description The payment server's signed statement that the money went back: typ `pilotlight-refunded+jws`. */
            refunded?: components["schemas"]["Jws"] | null;
            /** @description The company's signed settlement, once accepted. */
            settlement?: components["schemas"]["Jws"] | null;
            /** @description Where it stands. */
            state: components["schemas"]["VendState"];
            /** @description The states reached so far, in order. */
            timeline: components["schemas"]["Step"][];
            /** @description The token to deliver, once issued. */
            token?: components["schemas"]["HexBytes"] | null;
            /** @description Its id. */
            vend_id: components["schemas"]["VendId"];
            /**
             * Format: uint32
             * @description Counts changes; for `after_version`.
             */
            version: number;
            /** @description What was asked for. */
            want: components["schemas"]["Want"];
        };
        /**
         * Format: uuid
         * @description A purchase: a UUID of version 7, made by the phone. Who knows it may follow that vend.
         */
        VendId: string;
        /** @description States of a vend, in order of life. */
        VendState: "quoted" | "tender_requested" | "expired" | "tender_confirmed" | "token_issued" | "delivered" | "accepted" | "refund_pending" | "refunded";
        /** @description A line of a meter's purchase history. Holds no vend id of others' unpaid vends. */
        VendSummary: {
            /** @description When it was begun. */
            begun_at_ms: components["schemas"]["UnixMillis"];
            /** @description Where it stands. */
            state: components["schemas"]["VendState"];
            /** @description Its id. */
            vend_id: components["schemas"]["VendId"];
            /** @description What was asked for. */
            want: components["schemas"]["Want"];
        };
        /** @description `PUT /v1/vends/{vend_id}`: begin a vend. The id is made and saved by the phone. */
        VendWanted: {
            /** @description The meter. */
            meter: components["schemas"]["MeterNumber"];
            /**
             * @description A status that answers an ask of this cloud. Left out, the quote rests on the newest reading that the
             *     company believes, at most 35 days old, and the request must be signed by an enrolled phone.
             */
            status?: components["schemas"]["HexBytes"] | null;
            /** @description What the customer wants. */
            want: components["schemas"]["Want"];
        };
        /**
         * Format: uint32
         * @description A volume of gas in 0.01 m³.
         */
        Volume: number;
        /** @description What a customer asks for. */
        Want: {
            amount_fen: components["schemas"]["Money"];
        } | {
            volume_centi_m3: components["schemas"]["Volume"];
        };
    };
    responses: {
        /** @description What went wrong; programs look at `code` only (RFC 9457). */
        Problem: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
