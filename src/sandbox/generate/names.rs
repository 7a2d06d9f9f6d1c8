//! Names of people from several countries, and places where they live now.

/// Where a family comes from.
pub(super) struct Origin {
    /// BCP 47 code and name of the language spoken at home.
    pub(super) language: (&'static str, &'static str),
    pub(super) families: [&'static str; 4],
    pub(super) women: [&'static str; 4],
    pub(super) men: [&'static str; 4],
}

/// A town with its state, postal code and telephone area.
pub(super) struct Town {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) postal_code: &'static str,
    pub(super) area: &'static str,
}

/// The first one is the most frequent. Family names are those that men and women share.
pub(super) const ORIGINS: [Origin; 12] = [
    Origin {
        language: ("en", "English"),
        families: ["Johnson", "Williams", "Carter", "O'Brien"],
        women: ["Emily", "Grace", "Aaliyah", "Mary Ann"],
        men: ["James", "Marcus", "Tyler", "Noah"],
    },
    Origin {
        language: ("es", "Spanish"),
        families: ["García", "Hernández", "Núñez", "Peña"],
        women: ["María José", "Guadalupe", "Sofía", "Ximena"],
        men: ["José Luis", "Ángel", "Iván", "Raúl"],
    },
    Origin {
        language: ("de", "German"),
        families: ["Müller", "Schäfer", "Groß", "Weiß"],
        women: ["Käthe", "Anneliese", "Heike", "Bärbel"],
        men: ["Jürgen", "Uwe", "Matthias", "Götz"],
    },
    Origin {
        language: ("fr", "French"),
        families: ["Lefèvre", "Dubois", "Béranger", "Noël"],
        women: ["Chloé", "Hélène", "Aïcha", "Zoé"],
        men: ["François", "Théo", "Loïc", "Jérôme"],
    },
    Origin {
        language: ("pl", "Polish"),
        families: ["Nowak", "Wójcik", "Dąbek", "Żak"],
        women: ["Małgorzata", "Zofia", "Agnieszka", "Łucja"],
        men: ["Paweł", "Łukasz", "Stanisław", "Jan"],
    },
    Origin {
        language: ("tr", "Turkish"),
        families: ["Yılmaz", "Şahin", "Öztürk", "Doğan"],
        women: ["Elif", "Ayşe", "Gülşen", "Çiğdem"],
        men: ["Emre", "Oğuz", "Çağlar", "İsmail"],
    },
    Origin {
        language: ("vi", "Vietnamese"),
        families: ["Nguyễn", "Trần", "Phạm", "Đặng"],
        women: ["Thị Hương", "Mai", "Ngọc Ánh", "Lan"],
        men: ["Văn Minh", "Đức", "Quốc Bảo", "Hùng"],
    },
    Origin {
        language: ("yo", "Yoruba"),
        families: ["Okafor", "Adébáyọ", "Eze", "Balogun"],
        women: ["Amara", "Ngozi", "Fọláṣadé", "Ifeoma"],
        men: ["Chidi", "Olúwaṣeun", "Emeka", "Túndé"],
    },
    Origin {
        language: ("ja", "Japanese"),
        families: ["田中", "佐藤", "鈴木", "高橋"],
        women: ["陽子", "美咲", "さくら", "恵子"],
        men: ["健二", "翔太", "浩", "大輔"],
    },
    Origin {
        language: ("hi", "Hindi"),
        families: ["Patel", "Sharma", "Iyer", "Banerjee"],
        women: ["Priya", "Ananya", "Lakshmi", "Meera"],
        men: ["Arjun", "Rohan", "Vikram", "Sanjay"],
    },
    Origin {
        language: ("uk", "Ukrainian"),
        families: ["Шевченко", "Коваленко", "Бондаренко", "Ткаченко"],
        women: ["Оксана", "Олена", "Ірина", "Наталія"],
        men: ["Андрій", "Тарас", "Богдан", "Юрій"],
    },
    Origin {
        language: ("sv", "Swedish"),
        families: ["Lindström", "Sjöberg", "Åkesson", "Öberg"],
        women: ["Åsa", "Märta", "Linnéa", "Gun-Britt"],
        men: ["Björn", "Göran", "Åke", "Sören"],
    },
];

pub(super) const TOWNS: [Town; 5] = [
    Town {
        name: "Boston",
        state: "MA",
        postal_code: "02115",
        area: "617",
    },
    Town {
        name: "Springfield",
        state: "IL",
        postal_code: "62704",
        area: "217",
    },
    Town {
        name: "Portland",
        state: "OR",
        postal_code: "97201",
        area: "503",
    },
    Town {
        name: "San José",
        state: "CA",
        postal_code: "95112",
        area: "408",
    },
    Town {
        name: "Burlington",
        state: "VT",
        postal_code: "05401",
        area: "802",
    },
];

pub(super) const STREETS: [&str; 6] = [
    "Main Street",
    "Oak Avenue",
    "Lake View Road",
    "Chestnut Lane",
    "Peña Boulevard",
    "2nd Street, Apt. 5",
];
