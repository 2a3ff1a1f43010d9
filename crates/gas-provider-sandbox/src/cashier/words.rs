/// In which language the page is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    Chinese,
    English,
}

impl Language {
    /// The first of a list of language tags (`en-GB,en;q=0.9,zh`) that we have; else Chinese.
    pub(super) fn choose(tags: &str) -> Self {
        tags.split(',')
            .find_map(|tag| {
                let tag = tag.trim().to_ascii_lowercase();
                if tag.starts_with("zh") {
                    Some(Self::Chinese)
                } else if tag.starts_with("en") {
                    Some(Self::English)
                } else {
                    None
                }
            })
            .unwrap_or(Self::Chinese)
    }

    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Chinese => Self::English,
            Self::English => Self::Chinese,
        }
    }

    pub(super) const fn words(self) -> &'static Words {
        match self {
            Self::Chinese => &CHINESE,
            Self::English => &ENGLISH,
        }
    }
}

/// All the page says.
pub(super) struct Words {
    pub(super) title: &'static str,
    /// The language's own name.
    pub(super) name: &'static str,
    pub(super) sandbox: &'static str,
    pub(super) pay_to: &'static str,
    pub(super) description: &'static str,
    pub(super) order_number: &'static str,
    pub(super) pay_before: &'static str,
    pub(super) transaction: &'static str,
    pub(super) paid_at: &'static str,
    pub(super) confirm: &'static str,
    pub(super) once: &'static str,
    pub(super) cancel: &'static str,
    pub(super) back: &'static str,
    pub(super) paid: Ending,
    pub(super) closed: Ending,
    pub(super) expired: Ending,
    pub(super) unknown: Ending,
    pub(super) not_from_merchant: Ending,
}

/// How an order ended, and what to do now.
pub(super) struct Ending {
    pub(super) headline: &'static str,
    pub(super) hint: &'static str,
}

static CHINESE: Words = Words {
    title: "收银台",
    name: "中文",
    sandbox: "测试环境 · 不会扣真钱",
    pay_to: "付款给",
    description: "商品",
    order_number: "商户订单号",
    pay_before: "支付截止",
    transaction: "支付单号",
    paid_at: "支付时间",
    confirm: "确认支付",
    once: "每笔订单只能支付一次",
    cancel: "取消，返回商户",
    back: "返回商户",
    paid: Ending {
        headline: "支付成功",
        hint: "请返回手机上的充值页面，继续给燃气表充值。",
    },
    closed: Ending {
        headline: "订单已关闭",
        hint: "没有扣款。如需充值，请在手机上重新发起一笔。",
    },
    expired: Ending {
        headline: "已过支付时间",
        hint: "没有扣款。请在手机上重新获取付款码。",
    },
    unknown: Ending {
        headline: "付款码无效",
        hint: "付款码可能已被新的替换。请扫描手机上最新的付款码。",
    },
    not_from_merchant: Ending {
        headline: "商家参数格式有误",
        hint: "没有扣款。请从商户的页面进入收银台，且返回地址须为商户已登记的域名。",
    },
};

static ENGLISH: Words = Words {
    title: "Cashier",
    name: "English",
    sandbox: "Test environment · no real money",
    pay_to: "Pay to",
    description: "For",
    order_number: "Order number",
    pay_before: "Pay before",
    transaction: "Payment number",
    paid_at: "Paid at",
    confirm: "Confirm payment",
    once: "An order can be paid only once",
    cancel: "Cancel and go back",
    back: "Back to the shop",
    paid: Ending {
        headline: "Paid",
        hint: "Go back to the top-up on your phone to bring the gas to your meter.",
    },
    closed: Ending {
        headline: "Order closed",
        hint: "Nothing was charged. To top up, start again on your phone.",
    },
    expired: Ending {
        headline: "The time to pay is over",
        hint: "Nothing was charged. Ask for a new code on your phone.",
    },
    unknown: Ending {
        headline: "This code is not valid",
        hint: "A newer code may have taken its place. Scan the one on your phone now.",
    },
    not_from_merchant: Ending {
        headline: "The shop has sent you here the wrong way",
        hint: "Nothing was charged. Come here from the shop's own page; it may lead back to its registered hosts only.",
    },
};
